/** Cross-entropy in float64, plainly, with the bound that the shader states. */

import { type Reference, U } from "./reference.ts";

/** token_loss.wgsl: one loss for each row of `x` `[rows, width]`. */
export function tokenLossReference(
  x: Float32Array,
  targets: ArrayLike<number>,
  width: number,
): Reference {
  const rows = targets.length;
  const expected = new Float64Array(rows);
  const bound = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * width, (r + 1) * width);
    const top = row.reduce((most, value) => Math.max(most, value), -Infinity);
    const total = row.reduce((sum, value) => sum + Math.exp(value - top), 0);
    expected[r] = Math.log(total) + (top - row[targets[r]]);
    bound[r] = (width / 256 + 270 + 11 * Math.log(width) + 2 * expected[r]) * U;
  }
  return { expected, bound };
}
