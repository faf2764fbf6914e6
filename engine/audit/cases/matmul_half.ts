/** Products of fast mode: matmul_half.wgsl on adapters that have f16, matmul_matrix.wgsl on those with subgroup matrices. */

import { halfMatmul, tiledHalfMatmul } from "../../ops/matmul_half.ts";
import { matmulHalfReference, matmulMatrixReference } from "../../ops/matmul_half_reference.ts";
import { kernelCase } from "../case.ts";
import { STORED_DTYPES } from "../stored.ts";
import { LARGE, productJob, shape } from "./matmul.ts";

export const matmulHalfCase = kernelCase({
  op: "matmul_half",
  runsOn: ({ half }) => half,
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
    return shape(sizes, STORED_DTYPES[draw.below(3)]);
  },
  make: (sizes, draw, picked) =>
    productJob(sizes, draw, picked, tiledHalfMatmul, matmulHalfReference),
});

export const matmulMatrixCase = kernelCase({
  op: "matmul_matrix",
  runsOn: ({ matrices }) => matrices !== undefined,
  shapes: [
    shape([9, 17, 72], "BF16"),
    shape([200, 300, 64], "F16", -0.7),
    shape([67, 61, 136], "F32"),
    shape([5, 33, 264], "BF16", 0.5),
    shape([1, 513, 1024], "BF16"),
    shape([20, 200, 8], "F32", 2),
    shape([16, 40, 512], "F16"),
    shape([1024, 4096, 64], "BF16", undefined, ["normal"]),
    shape([2, 37, 29568], "BF16", undefined, LARGE),
  ],
  quick: 4,
  random(draw) {
    const sizes = [1 + draw.below(200), 1 + draw.below(300), 8 * (1 + draw.below(50))] as const;
    return shape(sizes, STORED_DTYPES[draw.below(3)], draw.below(2) ? undefined : 1.5);
  },
  make: (sizes, draw, picked) => productJob(sizes, draw, picked, halfMatmul, matmulMatrixReference),
});
