/** How far a mean over texts could have come out otherwise: the percentile bootstrap (Efron, Annals of Statistics 7:1, 1979). */

import { randomBelow } from "../random.ts";

/** A 95 % confidence interval: its low and its high end. */
export type Interval = [low: number, high: number];

/** How often the texts are drawn again. */
const RESAMPLES = 1000;

/**
 * The means of texts drawn again with replacement, as many as there are.
 *
 * @param scores for each kind of score one number a text; all kinds are averaged over the same draws, so they may be subtracted
 * @param stream see {@link randomBelow}
 * @returns for each kind, the mean of every resample
 */
export function resampledMeans(
  scores: readonly ArrayLike<number>[],
  seed: number,
  stream: number,
): Float64Array[] {
  const [{ length }] = scores;
  const means = scores.map(() => new Float64Array(RESAMPLES));
  for (let r = 0; r < RESAMPLES; r++) {
    for (let i = 0; i < length; i++) {
      const drawn = randomBelow(seed, stream, r * length + i, length);
      scores.forEach((score, kind) => means[kind][r] += score[drawn] / length);
    }
  }
  return means;
}

/** The interval that holds the middle 95 % of the values, which must be at least one. */
export function middle95(values: Float64Array): Interval {
  const sorted = values.toSorted();
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}

/** Between the two nearest values in the order, in proportion. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}
