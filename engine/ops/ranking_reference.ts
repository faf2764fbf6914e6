/** Softmax and rankings in float64, plainly, with the bounds that the shaders state. */

import { flushed, type Reference, TINY, U } from "./reference.ts";

/** softmax.wgsl. */
export function softmaxReference(x: Float32Array, rows: number, width: number): Reference {
  const expected = new Float64Array(x.length);
  const bound = new Float64Array(x.length);
  for (let r = 0; r < rows; r++) {
    let top = -Infinity;
    for (let i = 0; i < width; i++) top = Math.max(top, x[r * width + i]);
    let total = 0;
    for (let i = 0; i < width; i++) total += Math.exp(x[r * width + i] - top);
    for (let i = 0; i < width; i++) {
      const below = top - x[r * width + i];
      const at = r * width + i;
      expected[at] = Math.exp(-below) / total;
      const relative = width / 256 + 256 + 17 + 5 * (below + Math.log(width));
      bound[at] = relative * U * expected[at] + 2 ** -126;
    }
  }
  return { expected, bound };
}

/** Whether `a` stands before `b` among a row's largest: by value with −0 below +0, then by index. */
function before(row: Float32Array, a: number, b: number): number {
  if (row[a] !== row[b]) return row[b] - row[a];
  const aIsMinusZero = Object.is(row[a], -0) ? 1 : 0;
  const bIsMinusZero = Object.is(row[b], -0) ? 1 : 0;
  return aIsMinusZero - bIsMinusZero || a - b;
}

/** Indices of the `k` largest of a row, largest first. */
export function topKReference(row: Float32Array, k: number): number[] {
  return Array.from(row, (_, i) => i).sort((a, b) => before(row, a, b)).slice(0, k);
}

/** intersect_mean.wgsl, with the thresholds taken by sorting. */
export function intersectMeanReference(
  x: Float32Array,
  groups: number,
  prompts: number,
  width: number,
  k: number,
): Reference {
  const expected = new Float64Array(groups * width);
  const bound = new Float64Array(groups * width);
  const thresholds: number[] = [];
  for (let r = 0; r < groups * prompts; r++) {
    const row = x.subarray(r * width, (r + 1) * width);
    thresholds[r] = row[topKReference(row, k).at(-1)!];
  }
  for (let g = 0; g < groups; g++) {
    for (let i = 0; i < width; i++) {
      let sum = 0;
      let everywhere = true;
      let size = 0;
      let lost = (prompts + 1) * TINY;
      for (let p = 0; p < prompts; p++) {
        const r = g * prompts + p;
        everywhere &&= x[r * width + i] >= thresholds[r];
        sum += x[r * width + i];
        size += Math.abs(x[r * width + i]);
        lost += flushed(x[r * width + i]);
      }
      expected[g * width + i] = everywhere ? sum / prompts : 0;
      bound[g * width + i] = everywhere ? (prompts + 4) * U * (size / prompts) + lost : 0;
    }
  }
  return { expected, bound };
}
