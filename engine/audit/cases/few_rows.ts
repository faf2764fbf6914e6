/** Products of few rows with what stands around them in a block, in every form: with packed weights, and as they are stored. */

import { addShares } from "../../ops/add_shares.ts";
import { fewRows, isGated } from "../../ops/few_rows.ts";
import { matmul } from "../../ops/matmul.ts";
import { bindsFused, matvecFused } from "../../ops/matvec_fused.ts";
import type { WeightMatrix } from "../../weights/matrix.ts";
import { allRows, kernelCase } from "../case.ts";
import { STORED_DTYPES } from "../stored.ts";
import { FORMS, JOINS, LARGE, make, type Op, packed, SCALE, shape } from "./stacked.ts";

export const fewRowsCase = kernelCase({
  op: "few_rows",
  shapes: [
    shape([9, 192, 72], "BF16", "silu", { norm: true }),
    shape([3, 37, 264], "F16", "store", { norm: true, bias: true }),
    shape([3, 128, 328], "BF16", "gelu_tanh", { norm: true, join: "normed" }),
    shape([4, 96, 264], "BF16", "store", { norm: true, join: "vector" }),
    shape([1, 320, 192], "BF16", "store", { norm: true }),
    shape([1, 96, 1160], "F32", "store", { norm: true, join: "normed" }),
    shape([1, 33, 8], "F32", "add"),
    shape([2, 64, 520], "F32", "gelu_tanh", { norm: true }),
    shape([4, 130, 64], "BF16", "add"),
    shape([8, 128, 200], "F16", "silu"),
    shape([64, 192, 512], "BF16", "add"),
    shape([1, 1024, 2048], "BF16", "silu", { norm: true }),
    shape([1, 13824, 1152], "BF16", "gelu_tanh", {
      norm: true,
      join: "normed",
      distributions: LARGE,
    }),
    shape([2, 37, 8192], "BF16", "add", { distributions: LARGE }),
    shape([1, 151936, 64], "BF16", "store", { distributions: LARGE }),
  ],
  quick: 5,
  random(draw) {
    const form = FORMS[draw.below(4)];
    const n = isGated(form) ? 64 * (1 + draw.below(4)) : 1 + draw.below(200);
    const dtype = STORED_DTYPES[draw.below(3)];
    const bias = form === "store" && draw.below(2) === 1;
    const sizes = [1 + draw.below(20), n, 8 * (1 + draw.below(60))] as const;
    const norm = draw.below(2) === 1;
    return shape(sizes, dtype, form, { norm, join: norm ? JOINS[draw.below(3)] : undefined, bias });
  },
  make: (sizes, draw, picked) => make(sizes, draw, picked ?? allRows(sizes.rows), packed(fewRows)),
});

export const matvecFusedCase = kernelCase({
  op: "matvec_fused",
  runsOn: ({ limits }) => bindsFused(limits),
  shapes: [
    shape([9, 130, 72], "BF16", "silu", { norm: true }),
    shape([4, 37, 264], "F16", "store", { norm: true, bias: true }),
    shape([1, 33, 8], "F32", "add"),
    shape([3, 66, 328], "BF16", "gelu_tanh", { norm: true, join: "normed" }),
    shape([5, 70, 264], "BF16", "store", { norm: true, join: "vector" }),
    shape([1, 70, 2120], "BF16", "store", { norm: true }),
    shape([3, 66, 520], "F32", "gelu_tanh", { norm: true }),
    shape([8, 134, 200], "F16", "silu"),
    shape([5, 320, 576], "BF16", "store", { norm: true, bias: true }),
    shape([1, 1024, 4160], "BF16", "silu", { norm: true }),
    shape([8, 134, 1160], "F16", "store", { norm: true, join: "normed" }),
    shape([2, 37, 8192], "BF16", "add", { distributions: LARGE }),
    shape([1, 16000, 4096], "BF16", "store", { norm: true, distributions: LARGE }),
    shape([1, 13824, 1152], "BF16", "gelu_tanh", {
      norm: true,
      join: "normed",
      distributions: LARGE,
    }),
  ],
  quick: 5,
  random(draw) {
    const form = FORMS[draw.below(4)];
    const n = isGated(form) ? 2 * (1 + draw.below(90)) : 3 + draw.below(200);
    const dtype = STORED_DTYPES[draw.below(3)];
    const bias = form === "store" && draw.below(2) === 1;
    const sizes = [1 + draw.below(12), n, 8 * (1 + draw.below(80))] as const;
    const norm = draw.below(2) === 1;
    return shape(sizes, dtype, form, { norm, join: norm ? JOINS[draw.below(3)] : undefined, bias });
  },
  make: (sizes, draw, picked) =>
    make(
      sizes,
      draw,
      picked ?? allRows(sizes.rows),
      (recorder, weights, { lora: _, ...args }) => matvecFused(recorder, { ...args, weights }),
      stacked(sizes),
    ),
});

export const addSharesCase = kernelCase({
  op: "add_shares",
  shapes: [
    shape([3, 98, 72], "BF16", "store", { rank: 16 }),
    shape([2, 134, 64], "F16", "silu", { rank: 72, factors: "F32" }),
    shape([4, 33, 40], "F32", "add", { rank: 8, factors: "F16" }),
    shape([1, 320, 192], "BF16", "gelu_tanh", { rank: 64 }),
    shape([8, 1030, 96], "BF16", "add", { rank: 136, factors: "F16" }),
    shape([1, 2048, 2048], "BF16", "store", { rank: 256, distributions: LARGE }),
  ],
  quick: 3,
  random(draw) {
    const form = FORMS[draw.below(4)];
    const n = isGated(form) ? 2 * (1 + draw.below(90)) : 3 + draw.below(200);
    const sizes = [1 + draw.below(9), n, 8 * (1 + draw.below(30))] as const;
    const [rank, factors] = [8 * (1 + draw.below(18)), STORED_DTYPES[draw.below(3)]];
    return shape(sizes, STORED_DTYPES[draw.below(3)], form, { rank, factors });
  },
  make: (sizes, draw, picked) =>
    make(sizes, draw, picked ?? allRows(sizes.rows), shared, stacked(sizes)),
});

/** The products and what the factors A make of the same rows, step by step, then the sum. */
const shared: Op = (recorder, matrices, { x, out, rows, form, lora }) => {
  const { gpu } = recorder;
  const width = (all: readonly WeightMatrix[]) => all.reduce((sum, { rows }) => sum + rows, 0);
  const beside = (all: readonly WeightMatrix[], y: GPUBuffer) => {
    let first = 0;
    for (const weight of all) {
      matmul(recorder, { x, weight, y, rows, columns: { stride: width(all), first } });
      first += weight.rows;
    }
  };
  const { a, b } = lora!;
  const scratch = [width(a), ...form === "store" ? [] : [width(matrices)]]
    .map((columns) => gpu.tensor([rows, columns]));
  const [low, products = out] = scratch.map(({ buffer }) => buffer);
  beside(matrices, products);
  beside(a, low);
  const parts = matrices.map(({ rows: count }, i) => {
    const first = width(a.slice(0, i));
    return { count, share: { b: b[i], first, scale: SCALE } };
  });
  addShares(recorder, { x: products, low, lowWidth: width(a), parts, out, rows, form });
  for (const tensor of scratch) tensor.release();
};

/** Rows of each of the matrices that are stacked: as many as a form has. */
function stacked({ n, form }: ReturnType<typeof shape>): number[] {
  if (form === "add") return [n];
  if (form !== "store") return [n / 2, n / 2];
  const third = Math.floor(n / 3);
  return [n - third - 1, third, 1];
}
