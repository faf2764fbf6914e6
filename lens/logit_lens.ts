/**
 * The logit lens on vectors (METHOD: softmax(W_U · norm_f(v)) and the same of −v): what a direction of the residual
 * stream would make a model say if nothing followed.
 */

import { rankedRowsPerBatch } from "../engine/batch_room.ts";
import { type Ranked, softmaxRows, topK, unpackTopK } from "../engine/ops/ranking.ts";
import type { Transformer } from "../engine/transformer.ts";

/** Tokens kept of each list. */
export const LOGIT_LENS_TOP = 100;

/** What the lens reads in one vector: the likeliest tokens of v and of −v, `value` being a probability. */
export interface LensReadout {
  top: Ranked[];
  bottom: Ranked[];
}

/**
 * Reads vectors `[hidden]` through a model's final norm and unembedding.
 *
 * @returns one readout a vector, in their order
 */
export async function logitLens(
  model: Transformer,
  vectors: readonly Float32Array[],
  k = LOGIT_LENS_TOP,
): Promise<LensReadout[]> {
  const rows = vectors.flatMap((vector) => [vector, vector.map((value) => -value)]);
  const ranked = await likeliestTokens(model, rows, k);
  return vectors.map((_, i) => ({ top: ranked[2 * i], bottom: ranked[2 * i + 1] }));
}

/** The `k` likeliest tokens of each vector, as {@link logitLens} reads them, without those of −v. */
export async function likeliestTokens(
  model: Transformer,
  vectors: readonly Float32Array[],
  k = LOGIT_LENS_TOP,
): Promise<Ranked[][]> {
  const ranked: Ranked[][] = [];
  const size = rankedRowsPerBatch(model.gpu, model, 1);
  for (let first = 0; first < vectors.length; first += size) {
    ranked.push(...await topOfRows(model, vectors.slice(first, first + size), k));
  }
  return ranked;
}

async function topOfRows(
  model: Transformer,
  rows: readonly Float32Array[],
  k: number,
): Promise<Ranked[][]> {
  const { gpu, spec } = model;
  const resid = gpu.tensorFrom(stackRows(rows), [rows.length, spec.hiddenSize]);
  const recorder = gpu.record();
  try {
    const scores = model.unembed(recorder, resid);
    softmaxRows(recorder, scores);
    const top = topK(recorder, scores, k);
    scores.release();
    await recorder.submit();
    const [data] = await gpu.read([top]);
    top.release();
    return unpackTopK(data, top.shape);
  } finally {
    recorder.close();
    resid.release();
  }
}

/** Vectors one after the other: `[rows, hidden]`. */
export function stackRows(rows: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const width = rows[0]?.length ?? 0;
  const stacked = new Float32Array(rows.length * width);
  rows.forEach((row, i) => stacked.set(row, i * width));
  return stacked;
}
