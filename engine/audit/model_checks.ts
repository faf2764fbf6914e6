/** What must not change a bit of a whole model's activations: running again, the batch, the cache, the variants, windows. */

import { Gpu } from "../gpu/gpu.ts";
import { KvCache } from "../kv_cache.ts";
import type { Transformer } from "../transformer.ts";
import type { AuditDevice } from "./audit_kernels.ts";
import { Draw } from "./inputs.ts";
import {
  type Activations,
  activations,
  checksumOf,
  firstDifference,
  inPieces,
  sequenceOf,
} from "./model_run.ts";

/** A model that is audited. */
export interface AuditedModel {
  /** As the user calls it: `embedded:base`. */
  name: string;
  /** Opens it on a device, resident or to be streamed layer by layer; closing frees all that was opened. */
  open(gpu: Gpu, stream?: boolean): Promise<{ model: Transformer; close(): void }>;
  /** Sequences of several lengths, the first longer than a chunk of keys. */
  texts: readonly (readonly number[])[];
}

/** One property, and whether it holds. */
export interface Check {
  check: string;
  model: string;
  /** How many comparisons were made. */
  tried: number;
  holds: boolean;
  /** What was found where it does not hold, or a measured size. */
  detail: string;
}

/** How much to run. */
export interface ModelPlan {
  repeats: number;
  randomBatches: number;
}

/** Told after every pass. */
type Step = () => void;

/** Passes that {@link checkModel} will make, for progress. */
export function passesOf({ texts }: AuditedModel, plan: ModelPlan, devices: number): number {
  return plan.repeats + texts.length + 4 + plan.randomBatches + 3 + devices;
}

/**
 * All checks of one model. The first device is what the others are compared with.
 *
 * @param signal stops between two passes
 */
export async function checkModel(
  audited: AuditedModel,
  devices: readonly AuditDevice[],
  plan: ModelPlan,
  options: { step?: Step; signal?: AbortSignal } = {},
): Promise<Check[]> {
  const { name, texts } = audited;
  const step = () => {
    options.signal?.throwIfAborted();
    options.step?.();
  };
  const { model, close } = await audited.open(devices[0].gpu);
  try {
    const whole = await activations(model, texts);
    const checks = [
      await repeats(model, texts, plan.repeats, step),
      await batches(model, texts, plan.randomBatches, step),
      await cached(model, texts[0], sequenceOf(whole, 0), step),
    ];
    checks.push(await streamed(devices[0], audited, whole, step));
    for (const device of devices.slice(1)) {
      checks.push(await sameOn(device, audited, whole, step));
    }
    return checks.map((check) => ({ ...check, model: name }));
  } finally {
    close();
  }
}

type Found = Omit<Check, "model">;

async function repeats(
  model: Transformer,
  texts: AuditedModel["texts"],
  times: number,
  step: Step,
): Promise<Found> {
  const sums = new Set<string>();
  for (let i = 0; i < times; i++) {
    sums.add(await checksumOf(await activations(model, texts)));
    step();
  }
  const detail = sums.size === 1 ? `one hash, ${[...sums][0]}` : `${sums.size} hashes`;
  return { check: "runs of the same", tried: times, holds: sums.size === 1, detail };
}

async function batches(
  model: Transformer,
  texts: AuditedModel["texts"],
  random: number,
  step: Step,
): Promise<Found> {
  const alone: Activations[] = [];
  for (const text of texts) {
    alone.push(await activations(model, [text]));
    step();
  }
  const all = texts.map((_, s) => s);
  const orders = [all, all.toReversed(), all.slice(1), [...all, ...all]];
  const draw = new Draw("normal", 1);
  for (let i = 0; i < random; i++) {
    orders.push(Array.from({ length: 1 + draw.below(7) }, () => draw.below(texts.length)));
  }
  let tried = 0;
  let detail = "";
  for (const order of orders) {
    const together = await activations(model, order.map((s) => texts[s]));
    order.forEach((s, place) => {
      tried++;
      const hook = firstDifference(sequenceOf(together, place), alone[s]);
      if (hook) detail ||= `sequence ${s} in the batch ${order} differs at ${hook}`;
    });
    step();
  }
  return { check: "alone, in batches, at other places", tried, holds: detail === "", detail };
}

async function cached(
  model: Transformer,
  text: readonly number[],
  whole: Activations,
  step: Step,
): Promise<Found> {
  const pieces = [text.map(() => 1), [64, text.length - 64], [1, text.length - 1]];
  const cache = new KvCache(model.gpu, model.spec, 3 + pieces.length * text.length);
  let detail = "";
  try {
    cache.reserve(3);
    for (const lengths of pieces) {
      const hook = firstDifference(await inPieces(model, cache, text, lengths), whole);
      if (hook) detail ||= `pieces of ${lengths.slice(0, 3)}… tokens differ at ${hook}`;
      step();
    }
  } finally {
    cache.destroy();
  }
  const check = "prefill against cached decoding";
  return { check, tried: pieces.length, holds: detail === "", detail };
}

async function streamed(
  { gpu }: AuditDevice,
  { open, texts }: AuditedModel,
  whole: Activations,
  step: Step,
): Promise<Found> {
  const { model, close } = await open(gpu, true);
  try {
    const hook = firstDifference(await activations(model, texts), whole);
    step();
    const brought = model.weights.stream !== undefined;
    return {
      check: "weights streamed layer by layer against resident",
      tried: texts.length,
      holds: brought && hook === undefined,
      detail: hook ? `differs at ${hook}` : brought ? "" : "the weights were not streamed",
    };
  } finally {
    close();
  }
}

async function sameOn(
  { name, gpu }: AuditDevice,
  { open, texts }: AuditedModel,
  whole: Activations,
  step: Step,
): Promise<Found> {
  const { model, close } = await open(gpu);
  try {
    const hook = firstDifference(await activations(model, texts), whole);
    step();
    return {
      check: `the same with variants and bindings of "${name}"`,
      tried: texts.length,
      holds: hook === undefined,
      detail: hook ? `differs at ${hook}` : "",
    };
  } finally {
    close();
  }
}

/**
 * Weights cut into windows: on a device whose bindings hold hardly more than the logits of one short sequence, so that
 * every larger matrix is cut.
 */
export async function checkWindows(
  { name, open }: AuditedModel,
  { gpu }: AuditDevice,
  text: readonly number[],
): Promise<Check> {
  const whole = await open(gpu);
  const { spec } = whole.model;
  const expected = await activations(whole.model, [text]);
  whole.close();
  const limit = Math.ceil(4 * text.length * spec.vocabSize / 4096) * 4096;
  const { backend, profile } = gpu;
  using small = await Gpu.open({
    backend,
    profile,
    limits: { maxStorageBufferBindingSize: limit },
  });
  const cut = await open(small);
  try {
    const { embedding, blocks } = cut.model.weights;
    const matrices = [
      embedding,
      ...blocks.flatMap(({ linears }) => Object.values(linears).map((l) => l.weight)),
    ];
    const windowed = matrices.filter(({ windows }) => windows.length > 1).length;
    const hook = firstDifference(await activations(cut.model, [text]), expected);
    return {
      check: "weights cut into windows",
      model: name,
      tried: windowed,
      holds: hook === undefined && windowed > 0,
      detail: hook
        ? `bindings of ${limit} bytes: differs at ${hook}`
        : `bindings of ${limit} bytes: ${windowed} of ${matrices.length} matrices are cut`,
    };
  } finally {
    cut.close();
  }
}
