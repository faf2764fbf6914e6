/** Sums over documents in float64, plainly, with the bound that accumulate.wgsl states. */

import { type Reference, U } from "../../tests/test_gpu.ts";

/** `Σ_d (x[d] − y[d])`, or `Σ_d x[d]`: `x`, `y` `[documents, size]`. */
export function sumReference(
  x: Float32Array,
  y: Float32Array | undefined,
  documents: number,
  size: number,
): Reference {
  const expected = new Float64Array(size);
  const bound = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    let terms = 0;
    let rounding = 0;
    for (let d = 0; d < documents; d++) {
      const term = x[d * size + i] - (y ? y[d * size + i] : 0);
      expected[i] += term;
      terms += Math.abs(term);
      if (y) rounding += U * Math.abs(term);
    }
    bound[i] = 2 * U * Math.abs(expected[i]) + 3 * (documents * U) ** 2 * terms + rounding;
  }
  return { expected, bound };
}
