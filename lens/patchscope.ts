/**
 * Patchscope with token-identity prompts (Ghandeharioun et al. 2024, as METHOD sets it up): a vector takes the place of
 * the residual at the last token of `man -> man⏎1135 -> 1135⏎hello -> hello⏎?`, and the model says what it sees there.
 *
 * Only the last token differs between scales and vectors, and only after the layer. So each prompt is run once up to
 * its last token, its keys and values of the later layers are kept, and every (vector, scale, prompt) is one token that
 * starts after the layer and shares them. The engine's order of sums makes that bit-identical to a full run with the
 * residual replaced.
 */

import type { Batch, KeyPlacement } from "../engine/batch.ts";
import { rankedRowsPerBatch } from "../engine/batch_room.ts";
import { UsageError } from "../engine/errors.ts";
import type { Recorder } from "../engine/gpu/recorder.ts";
import type { DeviceTensor } from "../engine/gpu/tensor.ts";
import { InFlight } from "../engine/in_flight.ts";
import { KvCache } from "../engine/kv_cache.ts";
import { Lane, spillOver } from "../engine/lane.ts";
import {
  intersectMean,
  type Ranked,
  softmaxRows,
  topK,
  unpackTopK,
} from "../engine/ops/ranking.ts";
import type { Captured, Transformer } from "../engine/transformer.ts";
import { stackRows } from "./logit_lens.ts";

/** 0.5 to 2.0 by 0.1, then 3, 4, 5, 10, 20, 40, …, 200: thirty in all. */
export const PATCHSCOPE_SCALES: readonly number[] = [
  ...Array.from({ length: 16 }, (_, i) => (5 + i) / 10),
  ...[3, 4, 5, 10],
  ...Array.from({ length: 10 }, (_, i) => 20 * (i + 1)),
];

/** The words of the three prompts. */
const WORDS = [["man", "1135", "hello"], ["bear", "42", "blue"], ["921", "target", "anna"]];

/** The three prompts; the last token of each is the one that is replaced. */
export const PATCHSCOPE_PROMPTS: readonly string[] = WORDS.map((words) =>
  [...words.map((word) => `${word} -> ${word}`), "?"].join("\n")
);

/** A token counts only if it is among so many likeliest for every prompt. */
export const PATCHSCOPE_INTERSECTION = 16384;

/** Tokens kept a scale. */
export const PATCHSCOPE_TOP = 20;

/** The likeliest tokens at one scale; `value` is the mean probability over the prompts. */
export interface ScaleTokens {
  scale: number;
  tokens: Ranked[];
}

/** What a run needs besides vectors. */
export interface PatchscopeOptions {
  /** The residual after this layer is replaced. */
  layer: number;
  /** Token ids of the prompts. */
  prompts: readonly (readonly number[])[];
  /** Norm to which a vector is rescaled before it is multiplied by a scale. */
  norm: number;
  /** All vectors', or each vector's own (default: {@link PATCHSCOPE_SCALES}). */
  scales?: readonly number[] | ((vector: number) => readonly number[]);
  k?: number;
  intersection?: number;
  /** Called with what is done, of all readings: after each group of them, and of streamed weights as they go through the layers. */
  progress?: (done: number, total: number) => void;
  /** Ends the work; a group that is being computed is not waited for. */
  signal?: AbortSignal;
}

/**
 * Reads vectors `[hidden]` at every scale. What is read together costs the prompts once, and of streamed weights one way through the
 * layers.
 *
 * @returns for each vector the tokens at each scale
 * @throws {UsageError} for a vector of length 0 or not finite
 */
export async function patchscope(
  model: Transformer,
  vectors: readonly Float32Array[],
  options: PatchscopeOptions,
): Promise<ScaleTokens[][]> {
  const { prompts, layer, scales = PATCHSCOPE_SCALES } = options;
  const P = prompts.length;
  const own = vectors.map((_, v) => typeof scales === "function" ? scales(v) : scales);
  // One row for each (vector, scale); each of them runs once a prompt.
  const rows = vectors.flatMap((vector, v) =>
    own[v].map((scale) => rescaled(vector, scale * options.norm))
  );
  const size = rankedRowsPerBatch(model.gpu, model, P) / P;
  const prefixTokens = prompts.reduce((sum, prompt) => sum + prompt.length - 1, 0);
  const capacity = prefixTokens + Math.min(size, rows.length) * P;
  const cache = new KvCache(model.gpu, model.spec, capacity, layer + 1);
  const ranked: Ranked[][] = [];
  try {
    const prefixes = await runPrefixes(model, cache, prompts);
    const groups: Group[] = [];
    for (let first = 0; first < rows.length; first += size) {
      groups.push(groupOf(model, cache, prefixes, rows.slice(first, first + size), options));
    }
    // The last step of a group is its ranking.
    const steps = groups.length * (model.spec.layers - layer);
    const report = (step: number) =>
      options.progress?.(Math.floor(rows.length * step / steps), rows.length);
    const lanes = model.weights.stream && await advance(model, cache, groups, options, report);
    for (const [g, group] of groups.entries()) {
      options.signal?.throwIfAborted();
      const rank = (recorder: Recorder, captured: Captured) =>
        rankGroup(recorder, captured, options);
      const top = lanes
        ? await lanes[g].tail(["logits"], rank)
        : await runGroup(model, cache, group, options.layer, rank);
      lanes?.[g].release();
      ranked.push(...await readTop(top, options.signal));
      if (lanes) report(steps - groups.length + g + 1);
      else options.progress?.(ranked.length, rows.length);
    }
  } finally {
    cache.destroy();
  }
  const lists = ranked.values();
  return own.map((each) => each.map((scale) => ({ scale, tokens: lists.next().value! })));
}

/** Runs every prompt but for its last token; the keys and values stay in the cache. */
async function runPrefixes(
  model: Transformer,
  cache: KvCache,
  prompts: readonly (readonly number[])[],
): Promise<KeyPlacement[]> {
  const placements = prompts.map((prompt) => ({
    prefixStart: 0,
    prefixLength: 0,
    ownStart: cache.reserve(prompt.length - 1),
    ownLength: 0,
  }));
  const running = prompts.keys().filter((p) => prompts[p].length > 1).toArray();
  if (running.length > 0 && cache.firstLayer < model.spec.layers) {
    const batch = model.batch(
      running.map((p) => prompts[p].slice(0, -1)),
      running.map((p) => placements[p]),
    );
    await model.forward(batch, { cache });
  }
  return prompts.map((prompt, p) => ({
    prefixStart: placements[p].ownStart,
    prefixLength: prompt.length - 1,
    ownStart: 0,
    ownLength: 0,
  }));
}

/** Rows that run together: the prompts' last tokens, and the residuals that take their places. */
interface Group {
  batch: Batch;
  /** `[tokens, hidden]`. */
  resid: Float32Array<ArrayBuffer>;
}

/** Every row after every prefix. All groups use the same rows of the cache, one after the other within each layer. */
function groupOf(
  model: Transformer,
  cache: KvCache,
  prefixes: readonly KeyPlacement[],
  rows: readonly Float32Array<ArrayBuffer>[],
  { prompts }: PatchscopeOptions,
): Group {
  const P = prompts.length;
  const own = cache.reserve(rows.length * P);
  cache.rewind(own);
  const placements = rows.flatMap((_, r) =>
    prefixes.map((prefix, p) => ({ ...prefix, ownStart: own + r * P + p }))
  );
  const last = rows.flatMap(() => prompts.map((prompt) => [prompt[prompt.length - 1]]));
  return {
    batch: model.batch(last, placements),
    resid: stackRows(rows.flatMap((row) => prompts.map(() => row))),
  };
}

/** Takes all groups through the layers side by side, so that each layer's weights are brought once. */
async function advance(
  model: Transformer,
  cache: KvCache,
  groups: readonly Group[],
  { layer: replaced, signal }: PatchscopeOptions,
  report: (step: number) => void,
): Promise<Lane[]> {
  const first = replaced + 1;
  let done = 0;
  const lanes = groups.map(({ batch, resid }) =>
    Lane.from(model, batch, { layer: first, resid }, cache)
  );
  const { buffers } = model.gpu;
  const flight = new InFlight(model.gpu);
  const most = buffers.unusedBytes / 4;
  try {
    for (let layer = first; layer < model.spec.layers; layer++) {
      for (const [g, lane] of lanes.entries()) {
        signal?.throwIfAborted();
        await lane.step();
        spillOver(lanes, most);
        if (g === 0) model.prefetch(layer + 1);
        await flight.add(() => report(++done));
      }
    }
    await flight.drain();
    return lanes;
  } catch (error) {
    for (const lane of lanes) lane.release();
    throw error;
  }
}

/** Runs a group through all that is left of the model. */
async function runGroup<T>(
  model: Transformer,
  cache: KvCache,
  { batch, resid }: Group,
  layer: number,
  use: (recorder: Recorder, captured: Captured) => T,
): Promise<T> {
  const { gpu, spec } = model;
  const recorder = gpu.record();
  const tensor = gpu.tensorFrom(resid, [batch.tokens, spec.hiddenSize]);
  try {
    const start = { layer: layer + 1, resid: tensor };
    const result = use(
      recorder,
      model.record(recorder, batch, { cache, start, capture: ["logits"] }),
    );
    await recorder.submit();
    return result;
  } finally {
    recorder.close();
    tensor.release();
  }
}

/** Records the ranking of a group's logits: the likeliest tokens of each row, by their mean probability over the prompts. */
function rankGroup(
  recorder: Recorder,
  captured: Captured,
  { prompts, k = PATCHSCOPE_TOP, intersection = PATCHSCOPE_INTERSECTION }: PatchscopeOptions,
): DeviceTensor {
  const probabilities = captured.get("logits");
  softmaxRows(recorder, probabilities);
  const means = intersectMean(recorder, probabilities, prompts.length, intersection);
  captured.release();
  const top = topK(recorder, means, k);
  means.release();
  return top;
}

async function readTop(top: DeviceTensor, signal?: AbortSignal): Promise<Ranked[][]> {
  try {
    const [data] = await top.gpu.read([top], signal);
    return unpackTopK(data, top.shape);
  } finally {
    top.release();
  }
}

/** `length · v/‖v‖`, the norm taken in double. */
export function rescaled(vector: Float32Array, length: number): Float32Array<ArrayBuffer> {
  const norm = vectorNorm(vector);
  if (!(norm > 0 && norm < Infinity)) {
    throw new UsageError(
      `Cannot read a vector of length ${norm} with Patchscope: it has no direction`,
    );
  }
  return Float32Array.from(vector, (value) => length * (value / norm));
}

/** The L2 norm, in double. */
export function vectorNorm(vector: Float32Array): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}
