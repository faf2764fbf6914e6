/** How far results are from a reference. */

import type { Reference } from "../ops/reference.ts";

/** Errors of one or several results. */
export interface Errors {
  elements: number;
  /** In units in the last place of the reference as f32; large where sums cancel, and the bound says whether rightly so. */
  maxUlp: number;
  meanUlp: number;
  /** ‖actual − expected‖ / ‖expected‖, the largest of several. */
  relativeL2: number;
  /** The largest |actual − expected| / bound; the bound holds where this is 1 at the most. */
  share: number;
  /** Where that is. */
  worst: { at: number; actual: number; expected: number; bound: number } | null;
}

/** The unit in the last place of `x` as f32: of denormal numbers and 0 the smallest, 2⁻¹⁴⁹. */
export function ulp(x: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(x))));
  return 2 ** (exponent - 23);
}

/** Measures one result. What is no number where the reference has one is infinitely far away. */
export function measure(actual: ArrayLike<number>, { expected, bound }: Reference): Errors {
  let [maxUlp, sumUlp, difference, size, share] = [0, 0, 0, 0, 0];
  let worst: Errors["worst"] = null;
  // Scaled, so that squares of large and of denormal numbers stay in range.
  const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i] - expected[i]);
    const error = Number.isNaN(distance) ? Infinity : distance;
    const units = error === 0 ? 0 : error / ulp(expected[i]);
    maxUlp = Math.max(maxUlp, units);
    sumUlp += units;
    difference += (error / scale) ** 2;
    size += (expected[i] / scale) ** 2;
    const part = error === 0 ? 0 : error / bound[i];
    if (part > share) {
      share = part;
      worst = { at: i, actual: actual[i], expected: expected[i], bound: bound[i] };
    }
  }
  return {
    elements: expected.length,
    maxUlp,
    meanUlp: expected.length === 0 ? 0 : sumUlp / expected.length,
    relativeL2: difference === 0 ? 0 : size === 0 ? Infinity : Math.sqrt(difference / size),
    share,
    worst,
  };
}

/** The errors of both together. */
export function together(a: Errors, b: Errors): Errors {
  const elements = a.elements + b.elements;
  return {
    elements,
    maxUlp: Math.max(a.maxUlp, b.maxUlp),
    meanUlp: elements === 0 ? 0 : (a.meanUlp * a.elements + b.meanUlp * b.elements) / elements,
    relativeL2: Math.max(a.relativeL2, b.relativeL2),
    share: Math.max(a.share, b.share),
    worst: a.share >= b.share ? a.worst : b.worst,
  };
}
