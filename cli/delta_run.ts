/** What commands that use δ of one layer begin with: a device, two models, δ, and a results folder. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import type { DeltaStep } from "../lens/diff_run.ts";
import { fingerprintOf } from "../lens/provenance.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import type { SourceOptions } from "../models/source.ts";
import { openGpu, sourceOptions } from "./common_flags.ts";
import { chosenDeltas, type DeltaChoice, layerOf, positionsOf } from "./deltas.ts";
import { identity, type OpenedPair, openPair, provenanceOf, showProgress } from "./open_pair.ts";
import { bothOf, measurePrecision, precisionSetting } from "./precision.ts";
import { VERSION } from "./version.ts";

/** Flags of such a command. */
type DeltaRunFlags =
  & DeltaChoice
  & Parameters<typeof openGpu>[0]
  & Parameters<typeof sourceOptions>[0]
  & { out?: string; overwrite: boolean };

/** What is compared. */
interface DeltaRunPlan {
  base: string;
  finetuned: string;
  /** Unrelated text to measure δ on; absent where it is taken from results. */
  text?: string;
  delta: { documents: number; tokens: number };
}

/** The opened models. Disposing of it frees them, the device, and the folder's lock. */
export class DeltaRun implements Disposable {
  private constructor(
    readonly gpu: Gpu,
    readonly pair: OpenedPair,
    readonly source: SourceOptions,
    readonly layer: number,
    readonly positions: number[],
    private readonly flags: DeltaRunFlags,
    private readonly plan: DeltaRunPlan,
    private readonly opened: DisposableStack,
  ) {}

  /**
   * Opens the device and finds the models; nothing is loaded yet.
   *
   * @throws {ModelError} if a model is not there, or they do not belong together
   * @throws {UsageError} if the flags name more than one layer, or positions that there cannot be
   */
  static async open(
    flags: DeltaRunFlags,
    plan: DeltaRunPlan,
    signal?: AbortSignal,
  ): Promise<DeltaRun> {
    using opened = new DisposableStack();
    const gpu = opened.use(await openGpu(flags));
    const source = sourceOptions(flags, signal);
    const pair = await openPair(gpu, plan, source);
    opened.use(pair.shelf);
    const layer = layerOf(flags, pair);
    const positions = positionsOf(flags, pair);
    return new DeltaRun(gpu, pair, source, layer, positions, flags, plan, opened.move());
  }

  /**
   * Opens the results folder, and takes or measures δ.
   *
   * @param command the results are of
   * @param inputs that the results depend on, beside models, δ, layer, seed and adapter
   * @param sample sequences such as the models will see
   */
  async begin(
    command: string,
    inputs: Record<string, JsonValue>,
    sample: readonly ArrayLike<number>[],
  ): Promise<DeltaStep> {
    const { gpu, pair, source, layer, positions, flags, plan } = this;
    const { signal } = source;
    const measured = { text: plan.text, ...plan.delta };
    const deltas = await chosenDeltas(pair, flags, measured, source);
    const fingerprint = {
      version: VERSION,
      command,
      base: await identity(pair.base),
      finetuned: await identity(pair.finetuned),
      delta: deltas.fingerprint,
      column: flags.column ?? null,
      layer,
      seed: flags.seed,
      backend: gpu.backend,
      adapter: { ...gpu.adapter },
      ...precisionSetting(gpu),
      ...inputs,
    };
    const name = `${pair.finetuned.name}-${command}`;
    const out = flags.out ?? `results/${name}-${await fingerprintOf(fingerprint)}`;
    const { overwrite } = flags;
    const folder = this.opened.use(await RunFolder.open(out, { fingerprint, overwrite }));
    const common = { folder, progress: showProgress, signal };
    const hook = `blocks.${layer}.hook_resid_post`;
    await measurePrecision(gpu, bothOf(pair.models), sample, { hook });
    return {
      ...common,
      models: pair.models,
      tokenizer: pair.tokenizer,
      seed: flags.seed,
      provenance: provenanceOf(gpu),
      layer,
      means: await deltas.means({ gpu, layers: [layer], ...common }),
      firstPosition: deltas.firstPosition,
      positions,
    };
  }

  [Symbol.dispose](): void {
    this.opened.dispose();
  }
}
