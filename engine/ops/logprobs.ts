/** Log-probabilities of chosen tokens and of the likeliest ones. */

import logprobsCode from "../../shaders/logprobs.wgsl" with { type: "text" };
import type { Recorder } from "../gpu/recorder.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import { u32 } from "../gpu/uniforms.ts";
import { overLongRows } from "./long_rows.ts";
import { type Ranked, topK } from "./ranking.ts";

/** The most of the likeliest tokens that are told, as in OpenAI's API. */
export const MOST_TOP_LOGPROBS = 20;

/** Log-probabilities at one place of a text, in nats. */
export interface TokenLogprobs {
  /** Of the token that stands there. */
  logprob: number;
  /** The likeliest tokens, the first of them first; as many as were asked for. */
  top: Ranked[];
}

/** Rows of logits and where their log-probabilities go. */
export interface LogprobArgs {
  /** `[rows, vocab]`, before any penalty or temperature. */
  logits: DeviceTensor;
  /** Token of row r: `ids[places[r]]`, u32. */
  ids: GPUBuffer;
  places: GPUBuffer;
  /** How many of the likeliest tokens, at most the vocabulary's size; 0 for none. */
  top: number;
  /** `[steps, rows, 1 + top, 2]`, to be read by {@link unpackLogprobs}. */
  out: GPUBuffer;
  step: number;
}

/** Records the log-probabilities of rows at a step; see logprobs.wgsl. */
export function recordLogprobs(recorder: Recorder, args: LogprobArgs): void {
  const { logits, ids, places, top, out, step } = args;
  const [rows] = logits.shape;
  const best = top > 0 ? topK(recorder, logits, top) : undefined;
  // What is not read must be bound all the same.
  const buffers = [places, ids, best?.buffer ?? ids, out];
  const params = [u32(top), u32(step * rows)];
  overLongRows(recorder, "logprobs", logprobsCode, { x: logits, visits: 2, buffers, params });
  best?.release();
}

/** What {@link recordLogprobs} left: for each step the rows'. */
export function unpackLogprobs(
  data: ArrayBuffer,
  steps: number,
  rows: number,
  top: number,
): TokenLogprobs[][] {
  const ids = new Uint32Array(data);
  const values = new Float32Array(data);
  const entry = (step: number, row: number, j: number): Ranked => {
    const at = 2 * ((step * rows + row) * (top + 1) + j);
    return { id: ids[at], value: values[at + 1] };
  };
  return Array.from({ length: steps }, (_, step) =>
    Array.from({ length: rows }, (_, row) => ({
      logprob: entry(step, row, 0).value,
      top: Array.from({ length: top }, (_, j) => entry(step, row, j + 1))
        .sort((a, b) => b.value - a.value || a.id - b.id),
    })));
}
