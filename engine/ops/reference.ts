/** What a float64 reference gives: the values, and how far a kernel may be from each of them. */

/** Unit roundoff of f32. */
export const U = 2 ** -24;

/** The least normal f32. WGSL lets an adapter take anything smaller for 0, as an operand and as a result. */
export const TINY = 2 ** -126;

/** What a plain float64 computation gives, and how far each element may be from it. */
export interface Reference {
  expected: Float64Array;
  bound: Float64Array;
}

/** What an adapter that flushes denormal numbers may lose of an operand. */
export function flushed(x: number): number {
  return Math.abs(x) < TINY ? Math.abs(x) : 0;
}
