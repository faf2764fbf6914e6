/** The matrix product in float64, as plainly as it can be written, with the bound that matmul.wgsl states. */

import { flushed, type Reference, TINY, U } from "./reference.ts";

/** `y = x·wᵀ`, or `y + addScaled·(x·wᵀ)`: `x` `[m, k]`, `w` `[n, k]`, `y` `[m, n]`. */
export function matmulReference(
  x: Float32Array,
  w: Float32Array,
  [m, n, k]: readonly number[],
  add?: { y: Float32Array; addScaled: number },
): Reference {
  const expected = new Float64Array(m * n);
  const bound = new Float64Array(m * n);
  const roundings = 64 + Math.ceil(k / 64);
  const gamma = roundings * U / (1 - roundings * U);
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      let dot = 0;
      let size = 0;
      let lost = (k + roundings) * TINY;
      for (let i = 0; i < k; i++) {
        const product = x[row * k + i] * w[column * k + i];
        dot += product;
        size += Math.abs(product);
        lost += flushed(x[row * k + i]) * Math.abs(w[column * k + i]) +
          flushed(w[column * k + i]) * Math.abs(x[row * k + i]);
      }
      const at = row * n + column;
      expected[at] = dot;
      bound[at] = gamma * size + lost;
      if (add) {
        const product = Math.fround(add.addScaled) * dot;
        expected[at] = add.y[at] + product;
        bound[at] = Math.abs(add.addScaled) * bound[at] +
          U * (Math.abs(product) + Math.abs(expected[at])) + flushed(add.y[at]) + 2 * TINY;
      }
    }
  }
  return { expected, bound };
}
