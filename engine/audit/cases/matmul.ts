/** Every variant of the matrix product: shapes about the edges of blocks, tiles, chunks and uniform bindings. */

import { matmul } from "../../ops/matmul.ts";
import { matmulReference } from "../../ops/matmul_reference.ts";
import { allRows, type Job, kernelCase } from "../case.ts";
import { type Distribution, type Draw, rowsOf } from "../inputs.ts";
import { asStored, largestExponent, STORED_DTYPES, type StoredDtype } from "../stored.ts";

/** Sizes of a product, whether it is added, and what it is tried on. */
export function shape(
  [rows, n, k]: readonly [number, number, number],
  dtype: StoredDtype,
  add?: number,
  distributions?: readonly Distribution[],
) {
  const label = `[${rows}, ${k}] · [${n}, ${k}]ᵀ, ${dtype.toLowerCase()}`;
  return {
    label: add === undefined ? label : `${label}, added`,
    rows,
    n,
    k,
    dtype,
    add,
    distributions,
  };
}

/** What large shapes are tried on. */
export const LARGE = ["normal", "outliers"] as const;

export const matmulCase = kernelCase({
  op: "matmul",
  shapes: [
    shape([9, 17, 67], "BF16"),
    shape([37, 61, 64], "F16", -0.7),
    shape([37, 101, 128], "F32"),
    shape([6, 130, 333], "BF16"),
    shape([1, 1, 1], "F32"),
    shape([1, 101, 203], "BF16", 16),
    shape([2, 5, 63], "F32"),
    shape([3, 17, 64], "F16"),
    shape([4, 130, 128], "BF16"),
    shape([5, 33, 65], "F32", 0.5),
    shape([65, 130, 203], "F16"),
    shape([65, 130, 200], "F32", 2),
    shape([100, 400, 200], "BF16"),
    shape([1, 2048, 2048], "BF16"),
    shape([1, 513, 1021], "F16"),
    shape([67, 515, 512], "F16"),
    shape([2, 37, 29568], "BF16", undefined, LARGE),
    shape([1, 151936, 64], "BF16", undefined, LARGE),
  ],
  quick: 4,
  random(draw) {
    const sizes = [1 + draw.below(70), 1 + draw.below(200), 1 + draw.below(400)] as const;
    return shape(sizes, STORED_DTYPES[draw.below(3)], draw.below(2) ? undefined : 1.5);
  },
  make: (sizes, draw, picked) => productJob(sizes, draw, picked, matmul, matmulReference),
});

/** The job of a product `y = W x`, or of one that is scaled and added to `y`. */
export function productJob(
  { rows, n, k, dtype, add }: ReturnType<typeof shape>,
  draw: Draw,
  picked: readonly number[] = allRows(rows),
  op: typeof matmul,
  reference: typeof matmulReference,
): Job {
  // Weights near the end of their dtype, and activations such that the sums stay finite.
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
      op(recorder, {
        x: at.x.buffer,
        weight: w,
        y: at.y.buffer,
        rows: picked.length,
        addScaled: add,
      }),
    expect: {
      y: { rowWords: n, reference: () => reference(x, w, [picked.length, n, k], added) },
    },
  };
}
