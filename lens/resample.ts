/** Draws of documents with replacement, and what they say of a mean (Efron's bootstrap, 1979). */

import { randomBelow } from "./random.ts";

/** Streams of the draws; see `random.ts`. */
export const SAMPLE_STREAMS = {
  /** Which documents of many are kept. */
  documents: 16,
  /** Resamples of as many documents as there are. */
  bootstrap: 17,
  /** Samples of fewer; the size in documents tells them apart. */
  sizes: 18,
} as const;

/**
 * How often each document is drawn: `draws` samples of `size` documents each, with replacement.
 *
 * @param first the number of the first draw in its stream, so that several calls do not draw the same
 * @returns by draw, `[documents]`
 */
export function drawCounts(
  { documents, size, draws, seed, stream, first = 0 }: {
    documents: number;
    size: number;
    draws: number;
    seed: number;
    stream: number;
    first?: number;
  },
): Uint32Array[] {
  return Array.from({ length: draws }, (_, draw) => {
    const counts = new Uint32Array(documents);
    for (let i = 0; i < size; i++) {
      counts[randomBelow(seed, stream, first + draw * size + i, documents)]++;
    }
    return counts;
  });
}

/** The mean of rows `[documents, hidden]`, each counted so often; summed in double, in their order. */
export function countedMean(
  rows: Float32Array,
  counts: ArrayLike<number>,
): Float32Array<ArrayBuffer> {
  const hidden = rows.length / counts.length;
  const sums = new Float64Array(hidden);
  let total = 0;
  for (let d = 0; d < counts.length; d++) {
    const count = counts[d];
    if (count === 0) continue;
    total += count;
    const row = d * hidden;
    for (let i = 0; i < hidden; i++) sums[i] += count * rows[row + i];
  }
  return Float32Array.from(sums, (sum) => sum / total);
}

/** The least of the values that a share `q` of them do not exceed. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length - 1e-9) - 1)];
}

/** The cosine of two vectors; 0 where one has no direction. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let dot = 0;
  let [squaresA, squaresB] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    squaresA += a[i] * a[i];
    squaresB += b[i] * b[i];
  }
  const lengths = Math.sqrt(squaresA) * Math.sqrt(squaresB);
  return lengths === 0 ? 0 : Math.max(-1, Math.min(1, dot / lengths));
}
