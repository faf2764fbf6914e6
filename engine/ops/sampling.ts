/** From logits to the next tokens: Hugging Face's processors in their order, then a draw that is reproducible. */

import argmaxCode from "../../shaders/argmax.wgsl" with { type: "text" };
import commitTokensCode from "../../shaders/commit_tokens.wgsl" with { type: "text" };
import nucleusCode from "../../shaders/nucleus.wgsl" with { type: "text" };
import penaliseCode from "../../shaders/penalise.wgsl" with { type: "text" };
import penaliseVec4Code from "../../shaders/penalise_vec4.wgsl" with { type: "text" };
import sampleCode from "../../shaders/sample.wgsl" with { type: "text" };
import { UsageError } from "../errors.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import { u32 } from "../gpu/uniforms.ts";
import { seedKey } from "../random/philox.ts";
import { elementGrid } from "./grid.ts";
import { overLongRows } from "./long_rows.ts";
import { kthLargest } from "./ranking.ts";

/** How tokens are chosen; what is absent is off. Applied in the order of the fields. */
export interface Sampling {
  /** Over 1 lowers the logits of tokens that the sequence has, prompt included. Default: 1. */
  repetitionPenalty?: number;
  /** 0 takes the likeliest token, of equal ones that with the lowest id, and leaves out all below. */
  temperature: number;
  /** Keeps the k likeliest tokens and all that equal the least of them. */
  topK?: number;
  /** Keeps the fewest of the likeliest tokens that have this share of the mass, and all that equal the least of them. */
  topP?: number;
  /** Keeps tokens with at least this share of the likeliest one's probability. */
  minP?: number;
  /** Whole number in [0, 2⁵³). */
  seed: number;
}

/** Exponents under this have no mass: exp(−87) is about the smallest normal f32; nucleus.wgsl repeats it. */
export const SAMPLING_DEPTH = 87;

/** Rows that can be sampled at once: the least that an adapter allows of workgroups along one dimension. */
export const MAX_SAMPLING_ROWS = 65535;

/** In the history: no logit of the row was a number above −∞. */
export const NO_TOKEN = 0xffffffff;

/** One row that is sampled. */
export interface SampledRow {
  /** Its bitmap among those of the tokens that sequences have; no two rows have one slot. */
  slot: number;
  /** Which stream of random numbers it draws from, and which draw of it the first is; 32 bits each. */
  stream: number;
  step: number;
  sampling: Sampling;
}

/** Rows on the device, and what the kernels that run depend on. */
export interface SampledRows {
  readonly settings: readonly Sampling[];
  /** {@link ROW_WORDS} words a row; valid until the recorder submits. */
  readonly buffer: GPUBuffer;
}

/** What the sampling of some rows reads and writes on the device, besides their logits. */
export interface SamplingState {
  /** Tokens that each slot's sequence has, as bitmaps of `words` words; see {@link seenWords}. */
  seen: GPUBuffer;
  words: number;
  /** Receives the tokens, `[rows]` u32; 0 for {@link NO_TOKEN}. */
  ids: GPUBuffer;
  /** Receives the tokens at row `step`, `[steps, rows]` u32. */
  history: GPUBuffer;
}

/** Words of a row's settings in the shaders (`struct Row`). */
const ROW_WORDS = 10;

/**
 * Fails for a value out of its range.
 *
 * @throws {UsageError} that names the value.
 */
export function checkSampling(sampling: Sampling): void {
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = sampling;
  const finite = (value: number) => Number.isFinite(value);
  check("temperature", temperature, finite(temperature) && temperature >= 0, "0 or more");
  check("topK", topK, topK === undefined || Number.isInteger(topK) && topK > 0, "1, 2, …");
  check("topP", topP, topP === undefined || topP > 0 && topP <= 1, "over 0 and at most 1");
  check("minP", minP, minP === undefined || minP >= 0 && minP <= 1, "between 0 and 1");
  const penalty = repetitionPenalty ?? 1;
  check("repetitionPenalty", penalty, finite(penalty) && penalty > 0, "over 0");
  check("seed", seed, Number.isSafeInteger(seed) && seed >= 0, "a whole number under 2^53");
}

function check(name: string, value: unknown, good: boolean, range: string): void {
  if (!good) throw new UsageError(`Cannot sample with ${name} ${value}: it must be ${range}`);
}

/** Words of one sequence's bitmap of tokens: 0 where the penalty is off and none is kept. */
export function seenWords({ repetitionPenalty = 1 }: Sampling, vocab: number): number {
  return repetitionPenalty === 1 ? 0 : Math.ceil(vocab / 32);
}

/** Puts rows on the device; several steps of a recorder may use them. */
export function uploadRows(recorder: Recorder, rows: readonly SampledRow[]): SampledRows {
  const words = new Uint32Array(rows.length * ROW_WORDS);
  const floats = new Float32Array(words.buffer);
  rows.forEach(({ slot, stream, step, sampling }, r) => {
    const { temperature, repetitionPenalty = 1, topP = 1, minP = 0, seed } = sampling;
    words.set([slot, stream, step, Number(temperature === 0)], r * ROW_WORDS);
    floats.set([
      repetitionPenalty,
      inverseTemperature(sampling),
      Math.max(topP, 1e-30), // no product with it may be flushed to 0
      Math.min(SAMPLING_DEPTH, -Math.log(minP)),
    ], r * ROW_WORDS + 4);
    words.set(seedKey(seed), r * ROW_WORDS + 8);
  });
  return { settings: rows.map(({ sampling }) => sampling), buffer: recorder.upload(words) };
}

/** Records the choice of one token for each row of `logits` `[rows, vocab]`, which it spoils. */
export function sampleTokens(
  recorder: Recorder,
  logits: DeviceTensor,
  rows: SampledRows,
  state: SamplingState,
  step: number,
): void {
  const [count] = logits.shape;
  const { settings } = rows;
  const allGreedy = settings.every(({ temperature }) => temperature === 0);
  const penalised = settings.some(({ repetitionPenalty = 1 }) => repetitionPenalty !== 1);
  if (!allGreedy || penalised) penalise(recorder, logits, rows, state);
  const best = argmax(recorder, logits);
  if (!allGreedy) {
    const floors = keptFloors(recorder, logits, best, rows);
    draw(recorder, { logits, best, floors, rows, step });
    floors.release();
  }
  const kernel = recorder.gpu.kernels.get("commit_tokens", commitTokensCode);
  const buffers = [best.buffer, rows.buffer, state.seen, state.ids, state.history];
  const params = [u32(count), u32(penalised ? state.words : 0), u32(step)];
  recorder.dispatch(kernel, buffers, params, elementGrid(count));
  best.release();
}

function penalise(
  recorder: Recorder,
  logits: DeviceTensor,
  rows: SampledRows,
  { seen, words }: SamplingState,
): void {
  const [count, width] = logits.shape;
  const { kernels } = recorder.gpu;
  const wide = width % 4 === 0;
  const kernel = wide
    ? kernels.get("penalise_vec4", penaliseVec4Code)
    : kernels.get("penalise", penaliseCode);
  const params = [u32(count), u32(width), u32(words)];
  const grid = [Math.ceil(width / (wide ? 256 : 64)), count, 1] as const;
  recorder.dispatch(kernel, [rows.buffer, seen, logits.buffer], params, grid);
}

/** The largest of each row of `x` `[rows, width]`, as `[rows, 2]`; see argmax.wgsl. */
export function argmax(recorder: Recorder, x: DeviceTensor): DeviceTensor {
  const out = recorder.gpu.tensor([x.shape[0], 2]);
  overLongRows(recorder, "argmax", argmaxCode, { x, visits: 1, buffers: [out.buffer] });
  return out;
}

/** What each row keeps by top-k and top-p, `[rows, 2]` of (ordered key of the least kept, ·). */
export function keptFloors(
  recorder: Recorder,
  logits: DeviceTensor,
  best: DeviceTensor,
  { settings, buffer }: SampledRows,
): DeviceTensor {
  const { gpu } = recorder;
  const [rows, width] = logits.shape;
  const drawn = ({ temperature }: Sampling) => temperature !== 0;
  const ks = settings.map((one) => drawn(one) && one.topK! < width ? one.topK! : 0);
  const floors = ks.every((k) => k === 0)
    ? zeros(recorder, rows)
    : kthLargest(recorder, logits, ks);
  if (!settings.some((one) => drawn(one) && (one.topP ?? 1) !== 1)) return floors;
  const out = gpu.tensor([rows, 2]);
  const buffers = [buffer, best.buffer, floors.buffer, out.buffer];
  overLongRows(recorder, "nucleus", nucleusCode, { x: logits, visits: 16, buffers });
  floors.release();
  return out;
}

/** Keys that keep everything. */
function zeros(recorder: Recorder, rows: number): DeviceTensor {
  const out = recorder.gpu.tensor([rows, 2]);
  const data = new Uint32Array(2 * rows);
  recorder.copy(recorder.upload(data), 0, out.buffer, 0, data.byteLength);
  return out;
}

function draw(
  recorder: Recorder,
  args: {
    logits: DeviceTensor;
    best: DeviceTensor;
    floors: DeviceTensor;
    rows: SampledRows;
    step: number;
  },
): void {
  const { logits, best, floors, rows, step } = args;
  const buffers = [rows.buffer, floors.buffer, best.buffer];
  const params = [u32(step)];
  overLongRows(recorder, "sample", sampleCode, { x: logits, visits: 2, buffers, params });
}

/** Finite and not 0 as f32, so that 0 times it is 0. */
function inverseTemperature({ temperature }: Sampling): number {
  return Math.min(Math.max(1 / temperature, 1e-30), 1e30);
}
