/** Sums over documents in float64, plainly, with the bound that accumulate.wgsl states. */

import { flushed, type Reference, TINY, U } from "./reference.ts";

/** `Σ_d x[d]`: `x` `[documents, size]`. */
export function sumReference(x: Float32Array, documents: number, size: number): Reference {
  const expected = new Float64Array(size);
  const bound = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    let terms = 0;
    let lost = 0;
    for (let d = 0; d < documents; d++) {
      expected[i] += x[d * size + i];
      terms += Math.abs(x[d * size + i]);
      // Of each term, of its rounding error and of the compensation.
      lost += flushed(x[d * size + i]) + 3 * TINY;
    }
    // The second part is what the reference's own sum may lose.
    bound[i] = 3 * (documents * U) ** 2 * terms + documents * 2 ** -53 * terms + lost;
  }
  return { expected, bound };
}
