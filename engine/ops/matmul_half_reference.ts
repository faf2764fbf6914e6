/** The matrix product of fast mode, held to the exact one, with the bounds that matmul_half.wgsl and matmul_matrix.wgsl state. */

import { matmulReference } from "./matmul_reference.ts";
import { flushed, type Reference, TINY, U } from "./reference.ts";

/** Rounding to f16, in whichever direction … */
const RELATIVE = 2 ** -10;
/** … and what is lost of small elements, as a share of their row's largest. */
const OF_LARGEST = 2 ** -28;
/** … and of any, where the whole row is so small that its scale ends before it is in the upper range. */
const LEAST = 2 ** -140;

/** What a matrix unit may cut off of each number that it adds, as a share of the largest. */
const OF_UNIT = 2 ** -22;
/** The least `K` of a unit: each time it adds as many products, and the sum before. */
const LEAST_K = 8;

/** Arguments and result as `matmulReference`; for matmul_matrix.wgsl. */
export function matmulMatrixReference(
  ...[x, w, sizes, add]: Parameters<typeof matmulReference>
): Reference {
  const k = sizes[2];
  return roundedReference(x, w, sizes, add, (k + Math.ceil(k / LEAST_K)) * OF_UNIT);
}

/** Arguments and result as `matmulReference`; for matmul_half.wgsl. */
export function matmulHalfReference(
  ...[x, w, sizes, add]: Parameters<typeof matmulReference>
): Reference {
  return roundedReference(x, w, sizes, add, 0);
}

/** @param unit what comes on top of the error of sums, as a share of Σ|x̂||ŵ| */
function roundedReference(
  x: Float32Array,
  w: Float32Array,
  sizes: readonly number[],
  add: { y: Float32Array; addScaled: number } | undefined,
  unit: number,
): Reference {
  const [m, n, k] = sizes;
  const { expected, bound } = matmulReference(x, w, sizes, add);
  const roundings = 64 + Math.ceil(k / 64);
  const gamma = roundings * U / (1 - roundings * U);
  const [dx, dw] = [errors(x, m, k), errors(w, n, k)];
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      let lost = 0;
      for (let i = 0; i < k; i++) {
        const [a, b] = [Math.abs(x[row * k + i]), Math.abs(w[column * k + i])];
        const [da, db] = [dx[row * k + i], dw[column * k + i]];
        lost += (1 + gamma) * (da * b + a * db + da * db) + unit * (a + da) * (b + db);
      }
      lost += TINY;
      const share = add ? Math.abs(add.addScaled) : 1;
      bound[row * n + column] += share * (1 + U) * lost;
    }
  }
  return { expected, bound };
}

/** By how much each element of `[rows, width]` may be off. */
function errors(values: Float32Array, rows: number, width: number): Float64Array {
  const off = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) {
    let most = 0;
    for (let i = 0; i < width; i++) most = Math.max(most, Math.abs(values[row * width + i]));
    for (let i = 0; i < width; i++) {
      const value = values[row * width + i];
      off[row * width + i] = RELATIVE * Math.abs(value) + OF_LARGEST * most + LEAST +
        flushed(value);
    }
  }
  return off;
}
