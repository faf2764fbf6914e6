/** The models that an audit runs: the embedded base and two of its finetunes, on the embedded texts. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import { type ModelSums, modelSums } from "../engine/audit/layer_sums.ts";
import { mergeAdapter, mergedShare } from "../engine/audit/merged.ts";
import {
  type AuditedModel,
  type Check,
  checkModel,
  checkWindows,
  type ModelPlan,
  passesOf,
} from "../engine/audit/model_checks.ts";
import { activations, joined, relativeL2 } from "../engine/audit/model_run.ts";
import type { AuditDevice } from "../engine/audit/audit_kernels.ts";
import { loadTexts } from "../lens/texts.ts";
import { loadFinetuned, loadModel, loadTokenizer } from "../models/load_model.ts";
import { EMBEDDED_TEXTS } from "../models/organisms.ts";
import { resolveSource } from "../models/source.ts";
import { startProgress } from "./progress.ts";

const BASE = "embedded:base";
/** A LoRA adapter. */
const ADAPTED = "embedded:cake_bake";

/** Tokens of a sequence of the long text, and their number. */
const LONG = { tokens: 100, sequences: 100 };

/** Lengths of the sequences that are compared bit by bit: more than a chunk of keys, and a single token. */
const LENGTHS = [70, 5, 1, 23];

/** What is found of models. */
export interface ModelAudit {
  checks: Check[];
  models: ModelSums[];
}

/** Opens the base, or an adapter on it, resident or to be streamed. */
async function open(gpu: Gpu, name: string, stream = false) {
  const base = await loadModel(gpu, await resolveSource(BASE), { stream });
  if (name === BASE) return { model: base.transformer, close: () => base.transformer.destroy() };
  const tuned = await loadFinetuned(gpu, base, await resolveSource(name));
  const close = () => [tuned, base].forEach(({ transformer }) => transformer.destroy());
  return { model: tuned.transformer, close };
}

/** Token ids of the embedded texts, the sequences end to end in the file's order. */
async function longText(gpu: Gpu): Promise<number[][]> {
  const source = await resolveSource(BASE);
  const { transformer } = await loadModel(gpu, source);
  const tokenizer = await loadTokenizer(source, transformer.spec);
  transformer.destroy();
  const { texts } = await loadTexts(EMBEDDED_TEXTS);
  const sequences: number[][] = [];
  let rest: number[] = [];
  for (const { text } of texts) {
    rest.push(...tokenizer.encode(text, { special: true }));
    while (rest.length >= LONG.tokens && sequences.length < LONG.sequences) {
      sequences.push(rest.slice(0, LONG.tokens));
      rest = rest.slice(LONG.tokens);
    }
    if (sequences.length === LONG.sequences) break;
  }
  return sequences;
}

/** Runs all checks of whole models, and takes the checksums that two adapters are compared by. */
export async function auditModels(
  devices: readonly AuditDevice[],
  plan: ModelPlan & { long: number },
  { signal, quiet }: { signal: AbortSignal; quiet: boolean },
): Promise<ModelAudit> {
  const { gpu } = devices[0];
  const long = await longText(gpu);
  const texts = LENGTHS.map((length, s) => long[s].slice(0, length));
  const audited = [BASE, ADAPTED].map((name): AuditedModel => ({
    name,
    open: (gpu, stream) => open(gpu, name, stream),
    texts,
  }));
  const passes = audited.reduce((sum, one) => sum + passesOf(one, plan, devices.length), 0);
  const bar = startProgress({ label: "Auditing models", total: passes, unit: "passes", quiet });
  let done = 0;
  const step = () => bar.update(++done);
  const checks: Check[] = [];
  const models: ModelSums[] = [];
  try {
    for (const one of audited) {
      checks.push(...await checkModel(one, devices, plan, { step, signal }));
      checks.push(await checkWindows(one, devices[0], long[1].slice(0, 14)));
    }
    checks.push(await checkMerged(gpu, texts));
  } finally {
    bar.done();
  }
  const reading = startProgress({
    label: "Taking the likeliest tokens",
    total: plan.long * LONG.tokens,
    unit: "tokens",
    quiet,
  });
  const { model, close } = await open(gpu, ADAPTED);
  try {
    models.push(
      await modelSums(ADAPTED, model, texts, long.slice(0, plan.long), (tokens) => {
        signal.throwIfAborted();
        reading.update(tokens);
      }),
    );
  } finally {
    reading.done();
    close();
  }
  return { checks, models };
}

/** The adapter beside its base and merged into it: each linear layer within its bound, and by how much all of it differs. */
async function checkMerged(gpu: Gpu, texts: readonly (readonly number[])[]): Promise<Check> {
  const { model, close } = await open(gpu, ADAPTED);
  try {
    const merged = await mergeAdapter(model);
    const { linears, share, worstIn } = await mergedShare(model, merged);
    const [a, b] = [await activations(model, texts), await activations(merged, texts)];
    merged.destroy();
    const at = (hook: string) => relativeL2(joined(b.get(hook)!), joined(a.get(hook)!));
    const last = [...a.keys()].at(-2)!;
    return {
      check: "LoRA shared against merged, each linear layer under its bound",
      model: ADAPTED,
      tried: linears,
      holds: share <= 1,
      detail:
        `at most ${
          (100 * share).toPrecision(2)
        } % of it (${worstIn}); the whole model: relative L2 ` +
        `${at(last).toExponential(1)} after the last block, ${
          at("logits").toExponential(1)
        } of the logits`,
    };
  } finally {
    close();
  }
}
