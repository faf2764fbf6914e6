/** matmul_half.wgsl, on adapters that have f16. */

import { halfMatmul } from "../../ops/matmul_half.ts";
import { matmulHalfReference } from "../../ops/matmul_half_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";
import { asStored, largestExponent, type StoredDtype } from "../stored.ts";

function shape(
  [rows, n, k]: readonly [number, number, number],
  dtype: StoredDtype,
  add?: number,
) {
  const label = `[${rows}, ${k}] · [${n}, ${k}]ᵀ, ${dtype.toLowerCase()}`;
  return { label: add === undefined ? label : `${label}, added`, rows, n, k, dtype, add };
}

export const matmulHalfCase = kernelCase({
  op: "matmul_half",
  half: true,
  shapes: [
    shape([9, 17, 67], "BF16"),
    shape([3, 130, 203], "F16", -0.7),
    shape([67, 61, 64], "F32"),
    shape([1, 1, 1], "F32"),
    shape([5, 33, 65], "F32", 0.5),
    shape([1, 513, 1021], "BF16"),
    shape([70, 130, 512], "BF16"),
  ],
  quick: 3,
  random(draw) {
    const sizes = [1 + draw.below(70), 1 + draw.below(200), 1 + draw.below(400)] as const;
    return shape(sizes, (["F32", "F16", "BF16"] as const)[draw.below(3)]);
  },
  make({ rows, n, k, dtype, add }, draw, picked = allRows(rows)) {
    const most = largestExponent(dtype);
    const x = rowsOf(draw.values(rows * k, k, Math.min(60, 108 - most)), k, picked);
    const w = asStored(draw.weights(n * k, k, most), dtype);
    const before = rowsOf(draw.values(rows * n, n, 100), n, picked);
    const y = add === undefined ? { words: picked.length * n } : before;
    const added = add === undefined ? undefined : { y: before, addScaled: add };
    return {
      buffers: { x, y },
      matrices: { w: { values: w, rows: n, columns: k, dtype } },
      record: (recorder, at, { w }) =>
        halfMatmul(recorder, {
          x: at.x.buffer,
          weight: w,
          y: at.y.buffer,
          rows: picked.length,
          addScaled: add,
        }),
      expect: {
        y: {
          rowWords: n,
          reference: () => matmulHalfReference(x, w, [picked.length, n, k], added),
        },
      },
    };
  },
});
