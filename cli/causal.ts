/** `deno task causal`: from two models to what their difference does to their losses. */

import { causalStep } from "../lens/causal/causal.ts";
import { fingerprintOf } from "../lens/provenance.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { parseCommand } from "./args.ts";
import { CAUSAL_COMMAND } from "./causal_flags.ts";
import { type CausalFlags, causalTexts, planCausal } from "./causal_inputs.ts";
import { causalJson, type CausalShown, printCausal } from "./causal_print.ts";
import { openGpu, sourceOptions } from "./common_flags.ts";
import { chosenDeltas, layerOf, positionsOf } from "./deltas.ts";
import { identity, openPair, provenanceOf, showProgress } from "./open_pair.ts";
import type { CommandContext } from "./run_command.ts";
import { VERSION } from "./version.ts";

/** Runs the command. */
export async function causal(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(CAUSAL_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { shown, names, description } = await causalResults(parsed.flags, context);
  if (parsed.flags.json) console.log(JSON.stringify(causalJson(shown)));
  else printCausal({ ...shown, names, description });
  return 0;
}

/** Does what is not done yet, and returns it all. */
export async function causalResults(
  flags: CausalFlags,
  { signal }: CommandContext,
): Promise<
  { shown: CausalShown; names: { base: string; finetuned: string }; description?: string }
> {
  const { mode, reverse, controls, seed } = flags;
  const plan = await planCausal(flags);
  using gpu = await openGpu(flags);
  const source = sourceOptions(flags, signal);
  const pair = await openPair(gpu, plan, source);
  using _shelf = pair.shelf;
  const layer = layerOf(flags, pair);
  const positions = positionsOf(flags, pair);
  const texts = await causalTexts(pair, flags, plan, source);
  const deltas = await chosenDeltas(pair, flags, { text: plan.generic, ...plan.delta }, source);

  const inputs = {
    version: VERSION,
    command: "causal",
    base: await identity(pair.base),
    finetuned: await identity(pair.finetuned),
    delta: deltas.fingerprint,
    texts: { ...texts.hashes },
    column: flags.column ?? null,
    documents: plan.documents,
    tokens: plan.tokens,
    layer,
    positions,
    mode,
    reverse,
    controls,
    seed,
    backend: gpu.backend,
    adapter: { ...gpu.adapter },
  };
  const out = flags.out ?? `results/${pair.finetuned.name}-causal-${await fingerprintOf(inputs)}`;
  using folder = await RunFolder.open(out, { fingerprint: inputs, overwrite: flags.overwrite });
  const means = await deltas.means({
    gpu,
    layers: [layer],
    folder,
    progress: showProgress,
    signal,
  });
  const result = await causalStep({
    models: pair.models,
    layer,
    means,
    firstPosition: deltas.firstPosition,
    positions,
    sets: texts.sets,
    mode,
    reverse,
    controls,
    seed,
    folder,
    provenance: provenanceOf(gpu),
    progress: showProgress,
    signal,
  });
  const names = { base: pair.base.name, finetuned: pair.finetuned.name };
  return { shown: { result, folder: folder.path }, names, description: plan.description };
}
