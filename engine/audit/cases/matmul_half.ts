/** matmul_half.wgsl, on adapters that have f16. */

import { halfMatmul } from "../../ops/matmul_half.ts";
import { matmulHalfReference } from "../../ops/matmul_half_reference.ts";
import { kernelCase } from "../case.ts";
import { STORED_DTYPES } from "../stored.ts";
import { productJob, shape } from "./matmul.ts";

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
  make: (sizes, draw, picked) => productJob(sizes, draw, picked, halfMatmul, matmulHalfReference),
});
