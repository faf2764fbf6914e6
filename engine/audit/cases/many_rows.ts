/** Products of many rows with packed weights, in every form: with the norm before or after, into buffers and into textures. */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { TEXEL_BYTES } from "../../gpu/texels.ts";
import { isGated } from "../../ops/few_rows.ts";
import { manyRows } from "../../ops/many_rows.ts";
import { narrowRows } from "../../ops/narrow_rows.ts";
import { allRows, kernelCase } from "../case.ts";
import { readTexels } from "../read_texels.ts";
import { STORED_DTYPES } from "../stored.ts";
import { FORMS, LARGE, make, packed, shape, widthOf } from "./stacked.ts";

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
