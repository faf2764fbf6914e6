/** Cosines of many vectors at once: the mean over all pairs is the dot product of the means of the unit vectors. */

import type { TextVector } from "./embedder.ts";

/** The vector scaled to length 1; the zero vector stays, so its cosine with anything is 0. */
export function unitVector({ values, dimensions }: TextVector): TextVector {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  if (largest === 0) return { values, dimensions };
  // Squares of very large or small values would leave the range of a double.
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i] / largest) ** 2;
  const root = Math.sqrt(squares);
  return { values: Float64Array.from(values, (value) => value / largest / root), dimensions };
}

/** The mean of vectors, as long as the highest dimension needs; empty for none. */
export function meanVector(vectors: readonly TextVector[]): Float64Array {
  const mean = new Float64Array(
    vectors.reduce((size, vector) => Math.max(size, sizeOf(vector)), 0),
  );
  for (const { values, dimensions } of vectors) {
    for (let i = 0; i < values.length; i++) mean[dimensions ? dimensions[i] : i] += values[i];
  }
  return mean.map((sum) => sum / vectors.length);
}

/** The dot product with a mean; dimensions that the mean lacks hold 0. */
export function dotMean({ values, dimensions }: TextVector, mean: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i] * (mean[dimensions ? dimensions[i] : i] ?? 0);
  }
  return sum;
}

/**
 * The mean cosine of unit vectors with each other, each with all but itself: the n² pairs less the n of a vector with itself.
 * Null where there are not two.
 */
export function meanAmong(units: readonly TextVector[]): number | null {
  const count = units.length;
  if (count < 2) return null;
  const mean = meanVector(units);
  const square = (values: ArrayLike<number>) => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[i] ** 2;
    return sum;
  };
  const own = units.reduce((sum, { values }) => sum + square(values), 0);
  return (count * count * square(mean) - own) / (count * (count - 1));
}

function sizeOf({ values, dimensions }: TextVector): number {
  return dimensions
    ? dimensions.reduce((size, place) => Math.max(size, place + 1), 0)
    : values.length;
}
