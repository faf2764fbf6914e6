/** Products with what stands around them in a block, in every form: with packed weights of few rows and of many, and as they are stored. */

import type { Recorder } from "../../gpu/recorder.ts";
import { DeviceTensor } from "../../gpu/tensor.ts";
import { ROW_TEXELS, TEXEL_BYTES } from "../../gpu/texels.ts";
import { addShares } from "../../ops/add_shares.ts";
import { fewRows, type FewRowsArgs, type Form, isGated } from "../../ops/few_rows.ts";
import { fewRowsReference, normedReference } from "../../ops/few_rows_reference.ts";
import { manyRows, type Share } from "../../ops/many_rows.ts";
import { matmul } from "../../ops/matmul.ts";
import { narrowRows } from "../../ops/narrow_rows.ts";
import { matvecFused } from "../../ops/matvec_fused.ts";
import type { WeightMatrix } from "../../weights/matrix.ts";
import { packedRows, planPacked, recordPacking } from "../../weights/packed.ts";
import { allRows, type Job, kernelCase } from "../case.ts";
import { type Distribution, type Draw, rowsOf } from "../inputs.ts";
import { readTexels } from "../read_texels.ts";
import { asStored, largestExponent, STORED_DTYPES, type StoredDtype } from "../stored.ts";

interface Choices {
  norm?: boolean;
  bias?: boolean;
  /** Of an adapter on it, and how its factors are stored (default: not at all). */
  rank?: number;
  factors?: StoredDtype;
  /** Whether the result goes to a texture. */
  texels?: boolean;
  /** Whether the result goes through a norm, which is a result too. */
  after?: boolean;
  distributions?: readonly Distribution[];
}

function shape(
  [rows, n, k]: readonly [number, number, number],
  dtype: StoredDtype,
  form: Form,
  choices: Choices = {},
) {
  const { norm = false, bias = false, rank = 0, factors = "BF16", texels = false } = choices;
  const { after = false, distributions } = choices;
  const size = `[${rows}, ${k}] · [${n}, ${k}]ᵀ, ${dtype.toLowerCase()}, ${form}`;
  const adapter = `an adapter of rank ${rank}, ${factors.toLowerCase()}`;
  const label = [
    size,
    ...(norm ? ["normed"] : []),
    ...(bias ? ["with bias"] : []),
    ...(rank > 0 ? [adapter] : []),
    ...(texels ? ["to texels"] : []),
    ...(after ? ["then normed"] : []),
  ].join(", ");
  return {
    label,
    rows,
    n,
    k,
    dtype,
    form,
    norm,
    bias,
    rank,
    factors,
    texels,
    after,
    distributions,
  };
}

const LARGE = ["normal", "outliers"] as const;
const FORMS: readonly Form[] = ["store", "add", "silu", "gelu_tanh"];

export const fewRowsCase = kernelCase({
  op: "few_rows",
  shapes: [
    shape([9, 192, 72], "BF16", "silu", { norm: true }),
    shape([3, 37, 264], "F16", "store", { norm: true, bias: true }),
    shape([1, 320, 192], "BF16", "store", { norm: true }),
    shape([1, 33, 8], "F32", "add"),
    shape([2, 64, 520], "F32", "gelu_tanh", { norm: true }),
    shape([4, 130, 64], "BF16", "add"),
    shape([8, 128, 200], "F16", "silu"),
    shape([64, 192, 512], "BF16", "add"),
    shape([1, 1024, 2048], "BF16", "silu", { norm: true }),
    shape([2, 37, 8192], "BF16", "add", { distributions: LARGE }),
    shape([1, 151936, 64], "BF16", "store", { distributions: LARGE }),
  ],
  quick: 3,
  random(draw) {
    const form = FORMS[draw.below(4)];
    const n = isGated(form) ? 64 * (1 + draw.below(4)) : 1 + draw.below(200);
    const dtype = STORED_DTYPES[draw.below(3)];
    const bias = form === "store" && draw.below(2) === 1;
    const sizes = [1 + draw.below(20), n, 8 * (1 + draw.below(60))] as const;
    return shape(sizes, dtype, form, { norm: draw.below(2) === 1, bias });
  },
  make: (sizes, draw, picked) => make(sizes, draw, picked ?? allRows(sizes.rows), packed(fewRows)),
});

export const manyRowsCase = kernelCase({
  op: "many_rows",
  shapes: [
    shape([65, 192, 72], "BF16", "silu", { norm: true, texels: true }),
    shape([70, 36, 264], "F16", "store", { bias: true }),
    shape([9, 64, 192], "BF16", "add"),
    shape([130, 320, 200], "F32", "gelu_tanh"),
    shape([66, 192, 72], "BF16", "silu", { rank: 16 }),
    shape([70, 36, 264], "F16", "store", { bias: true, rank: 72, factors: "F32" }),
    shape([100, 516, 512], "BF16", "store", { norm: true }),
    shape([30, 172, 128], "BF16", "store", { texels: true, bias: true }),
    shape([20, 132, 192], "F32", "add", { rank: 8, factors: "F16" }),
    shape([3, 128, 1544], "F32", "add", { norm: true, texels: true }),
    shape([2, 36, 8192], "BF16", "add", { distributions: LARGE }),
  ],
  random(draw) {
    const form = FORMS[draw.below(4)];
    const n = isGated(form) ? 64 * (1 + draw.below(4)) : 4 * (1 + draw.below(75));
    const bias = form === "store" && draw.below(2) === 1;
    const sizes = [1 + draw.below(90), n, 8 * (1 + draw.below(40))] as const;
    const [rank, factors] = [8 * draw.below(4), STORED_DTYPES[draw.below(3)]];
    const [norm, texels] = [draw.below(2) === 1, draw.below(2) === 1];
    const choices = { norm, bias, rank, factors, texels };
    return shape(sizes, STORED_DTYPES[draw.below(3)], form, choices);
  },
  make: (sizes, draw, picked) =>
    make(
      sizes,
      draw,
      picked ?? allRows(sizes.rows),
      packed((recorder, { out, share, ...args }) => {
        const { gpu } = recorder;
        const texels = args.rows * widthOf(sizes) / 4;
        const texture = sizes.texels ? gpu.texels.acquire(TEXEL_BYTES * texels) : undefined;
        // What is added to something goes there too.
        const ends = sizes.form === "add" ? { out, also: texture } : { out: texture ?? out };
        if (!manyRows(recorder, { ...args, products: [{ ...ends, share }] })) {
          throw new Error("Cannot audit many_rows: there is no texture for it");
        }
        if (!texture) return;
        readTexels(recorder, texture, texels, new DeviceTensor(gpu, out, [4 * texels]));
        gpu.texels.release(texture);
      }),
    ),
});

export const manyRowsNormCase = kernelCase({
  op: "many_rows_norm",
  shapes: [
    shape([18, 196, 72], "BF16", "add", { after: true }),
    shape([65, 100, 264], "F16", "add", { after: true, rank: 16 }),
    shape([33, 516, 136], "F32", "add", { after: true, rank: 72, factors: "F32" }),
    shape([17, 60, 520], "BF16", "add", { after: true, rank: 8, factors: "F16" }),
    shape([16, 576, 1536], "BF16", "add", { after: true, distributions: LARGE }),
    shape([3, 4096, 2048], "BF16", "add", { after: true, distributions: LARGE }),
  ],
  quick: 3,
  random(draw) {
    const sizes = [1 + draw.below(90), 4 * (1 + draw.below(75)), 8 * (1 + draw.below(40))] as const;
    const [rank, factors] = [8 * draw.below(4), STORED_DTYPES[draw.below(3)]];
    return shape(sizes, STORED_DTYPES[draw.below(3)], "add", { after: true, rank, factors });
  },
  make: (sizes, draw, picked) =>
    make(
      sizes,
      draw,
      picked ?? allRows(sizes.rows),
      packed((recorder, { out, share, after, ...args }) => {
        const { gpu } = recorder;
        const texels = args.rows * sizes.n / 4;
        const also = gpu.texels.acquire(TEXEL_BYTES * texels);
        const { weight, eps, normed } = after!;
        const products = [{ out, also, share }];
        if (!also || !manyRows(recorder, { ...args, products, after: { weight, eps } })) {
          throw new Error("Cannot audit many_rows_norm: there is no texture for it");
        }
        readTexels(recorder, also, texels, new DeviceTensor(gpu, normed, [4 * texels]));
        gpu.texels.release(also);
      }),
    ),
});

export const narrowRowsCase = kernelCase({
  op: "narrow_rows",
  shapes: [
    shape([70, 16, 72], "BF16", "store"),
    shape([33, 40, 264], "F32", "store"),
    shape([130, 8, 64], "F16", "store"),
    shape([512, 16, 1536], "BF16", "store", { distributions: LARGE }),
    shape([65, 256, 2048], "F32", "store", { distributions: LARGE }),
  ],
  quick: 3,
  random(draw) {
    const sizes = [1 + draw.below(150), 8 * (1 + draw.below(9)), 8 * (1 + draw.below(40))] as const;
    return shape(sizes, STORED_DTYPES[draw.below(3)], "store");
  },
  make: (sizes, draw, picked) =>
    make(
      sizes,
      draw,
      picked ?? allRows(sizes.rows),
      packed((recorder, { x, weight, rows, out }) => {
        const { gpu } = recorder;
        const [from, to] = [weight.columns, weight.rows].map((width) => rows * width / 4);
        const textures = [from, to].map((texels) => gpu.texels.acquire(TEXEL_BYTES * texels));
        const [inputs, outputs] = textures;
        if (!inputs || !outputs) {
          throw new Error("Cannot audit narrow_rows: there is no texture for it");
        }
        const bytes = TEXEL_BYTES * from;
        recorder.copyToTexels({ buffer: x, offset: 0, bytes, texture: inputs });
        narrowRows(recorder, { x: inputs, weight, rows, out: outputs });
        readTexels(recorder, outputs, to, new DeviceTensor(gpu, out, [4 * to]));
        for (const texture of [inputs, outputs]) gpu.texels.release(texture);
      }),
    ),
});

export const matvecFusedCase = kernelCase({
  op: "matvec_fused",
  shapes: [
    shape([9, 130, 72], "BF16", "silu", { norm: true }),
    shape([4, 37, 264], "F16", "store", { norm: true, bias: true }),
    shape([1, 33, 8], "F32", "add"),
    shape([1, 70, 2120], "BF16", "store", { norm: true }),
    shape([3, 66, 520], "F32", "gelu_tanh", { norm: true }),
    shape([8, 134, 200], "F16", "silu"),
    shape([5, 320, 576], "BF16", "store", { norm: true, bias: true }),
    shape([1, 1024, 4160], "BF16", "silu", { norm: true }),
    shape([2, 37, 8192], "BF16", "add", { distributions: LARGE }),
    shape([1, 16000, 4096], "BF16", "store", { norm: true, distributions: LARGE }),
  ],
  quick: 4,
  random(draw) {
    const form = FORMS[draw.below(4)];
    const n = isGated(form) ? 2 * (1 + draw.below(90)) : 3 + draw.below(200);
    const dtype = STORED_DTYPES[draw.below(3)];
    const bias = form === "store" && draw.below(2) === 1;
    const sizes = [1 + draw.below(12), n, 8 * (1 + draw.below(80))] as const;
    return shape(sizes, dtype, form, { norm: draw.below(2) === 1, bias });
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

/** Columns of the result. */
function widthOf({ n, form }: Pick<ReturnType<typeof shape>, "n" | "form">): number {
  return isGated(form) ? n / 2 : n;
}

/** A product of matrices that are stacked. */
type Op = (
  recorder: Recorder,
  matrices: readonly WeightMatrix[],
  args: Omit<FewRowsArgs, "weight"> & { bias?: GPUBuffer; lora?: Lora; after?: After },
) => void;

/** A norm of the result, and where that goes. */
interface After {
  weight: GPUBuffer;
  eps: number;
  normed: GPUBuffer;
}

/** An adapter's factors of each matrix. */
interface Lora {
  a: readonly WeightMatrix[];
  b: readonly WeightMatrix[];
}

/** By what adapters' shares are multiplied. */
const SCALE = 0.75;

/** One that takes them from a texture. */
function packed(
  op: (recorder: Recorder, args: FewRowsArgs & { share?: Share; after?: After }) => void,
): Op {
  return (recorder, matrices, { bias, lora, ...args }) => {
    const { texels } = recorder.gpu;
    // What is larger than scratch is made as a model's is, and stays as long as the device.
    const fits = (bytes: number) => bytes <= texels.largest;
    const make = (bytes: number) => fits(bytes) ? texels.acquire(bytes) : texels.create(bytes);
    const pack = (parts: readonly WeightMatrix[], padded = false) => {
      const made = planPacked(parts, make, padded)!;
      recordPacking(recorder, made);
      return made;
    };
    const weight = pack(matrices);
    const share = lora &&
      { lows: pack(lora.a, true), firsts: packedRows(lora.a), b: pack(lora.b), scale: SCALE };
    op(recorder, { ...args, weight: { ...weight, bias }, share });
    for (const { texture } of [weight, ...(share ? [share.lows, share.b] : [])]) {
      if (fits(TEXEL_BYTES * ROW_TEXELS * texture.height)) texels.release(texture);
    }
  };
}

/** The job of any of the kernels. */
function make(
  { rows, n, k, dtype, form, rank, factors, ...choices }: ReturnType<typeof shape>,
  draw: Draw,
  picked: readonly number[],
  op: Op,
  parts: readonly number[] = [n],
): Job {
  // What passes a gate is a product of two sums, and must stay finite.
  const x = rowsOf(draw.values(rows * k, k, 20), k, picked);
  const w = asStored(draw.weights(n * k, k, Math.min(20, largestExponent(dtype))), dtype);
  const gated = isGated(form);
  const wide = widthOf({ n, form });
  const before = form === "add" ? rowsOf(draw.values(rows * n, n, 60), n, picked) : undefined;
  const norm = choices.norm ? { weight: draw.normals(k), eps: 1e-5 } : undefined;
  const bias = choices.bias ? draw.normals(n) : undefined;
  const matrices: NonNullable<Job["matrices"]> = {};
  let first = 0;
  parts.forEach((rows, i) => {
    const values = w.subarray(first * k, (first + rows) * k);
    matrices[`w${i}`] = { values, rows, columns: k, dtype };
    first += rows;
  });
  // Gates and what they let pass are adapted each by itself.
  const adapted = rank === 0 ? [] : gated ? [n / 2, n / 2] : parts;
  let firstShare = 0;
  const shares = adapted.map((count, i) => {
    const drawn = (rows: number, columns: number, most: number) =>
      asStored(draw.weights(rows * columns, columns, most), factors);
    const [a, b] = [drawn(rank, k, 0), drawn(count, rank, 10)];
    matrices[`a${i}`] = { values: a, rows: rank, columns: k, dtype: factors };
    matrices[`b${i}`] = { values: b, rows: count, columns: rank, dtype: factors };
    const first = firstShare;
    firstShare += count;
    return { a, b, scale: SCALE, first, count };
  });
  const inputs = { x, norm, w, bias, shares, before };
  const sum = () => fewRowsReference(inputs, [picked.length, n, k], form);
  const after = choices.after ? { weight: draw.normals(n), eps: 1e-5 } : undefined;
  return {
    buffers: {
      x,
      norm: norm?.weight ?? new Float32Array(1),
      bias: bias ?? new Float32Array(1),
      out: before ?? { words: picked.length * wide },
      ...(after && { after: after.weight, normed: { words: picked.length * n } }),
    },
    matrices,
    record(recorder, at, matrices) {
      op(recorder, parts.map((_, i) => matrices[`w${i}`]), {
        x: at.x.buffer,
        norm: norm && { weight: at.norm.buffer, eps: norm.eps },
        bias: bias && at.bias.buffer,
        out: at.out.buffer,
        rows: picked.length,
        form,
        after: after &&
          { weight: at.after.buffer, eps: after.eps, normed: at.normed.buffer },
        lora: rank === 0 ? undefined : {
          a: adapted.map((_, i) => matrices[`a${i}`]),
          b: adapted.map((_, i) => matrices[`b${i}`]),
        },
      });
    },
    expect: {
      out: { rowWords: wide, reference: sum },
      ...(after && {
        normed: {
          rowWords: n,
          reference: () => normedReference(sum(), after.weight, [picked.length, n], after.eps),
        },
      }),
    },
  };
}
