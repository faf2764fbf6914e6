import { assert, assertEquals } from "@std/assert";
import { Gpu } from "../gpu/gpu.ts";
import { readTexels } from "../audit/read_texels.ts";
import { packer, type StackedCase, StackedProduct } from "../../tests/stacked_products.ts";
import {
  assertSameBits,
  closeTestGpus,
  compute,
  input,
  normals,
  output,
  testGpu,
} from "../../tests/test_gpu.ts";
import { packedRows } from "../weights/packed.ts";
import { manyRows, normsAfter } from "./many_rows.ts";
import { rmsnorm } from "./rows.ts";

Deno.test.afterAll(closeTestGpus);

const EPS = 1e-5;

/** Widths of groups with one to four blocks, one group and several; rows that fill their workgroups and that do not. */
const CASES: StackedCase[] = [
  { rows: 16, parts: [32], k: 64, dtype: "BF16", form: "add" },
  { rows: 37, parts: [60], k: 72, dtype: "F16", form: "add" },
  { rows: 65, parts: [192], k: 192, dtype: "BF16", form: "add" },
  { rows: 9, parts: [516], k: 136, dtype: "F32", form: "add" },
  {
    rows: 40,
    parts: [132],
    k: 200,
    dtype: "BF16",
    form: "add",
    lora: { ranks: [24], dtype: "F16", scale: 0.8 },
  },
  {
    rows: 33,
    parts: [256],
    k: 64,
    dtype: "F16",
    form: "add",
    lora: { ranks: [72], dtype: "F32", scale: -0.3 },
  },
];

/** The sum and its norm, step by step, and in one dispatch for each part. */
async function both(gpu: Gpu, one: StackedCase, seed: number) {
  const { rows } = one;
  const product = await StackedProduct.create(gpu, one, seed);
  const { n, lora: [factors] } = product;
  const weight = input(gpu, normals(seed + 77, n)).buffer;
  const textures: GPUTexture[] = [];
  let kernels: string[] = [];
  const results = await compute(gpu, (recorder) => {
    const placed = product.place();
    const pack = packer(recorder, textures);
    const { out: stepped } = product.steps(recorder, placed);
    const normed = output(gpu, [rows, n]);
    rmsnorm(recorder, { x: stepped.buffer, weight, out: normed.buffer, rows, width: n, eps: EPS });
    const packed = pack(product.matrices);
    const share = factors && {
      lows: pack([factors.a], true),
      firsts: packedRows([factors.a]),
      b: pack([factors.b]),
      scale: one.lora!.scale,
    };
    const also = gpu.texels.create(4 * rows * n)!;
    textures.push(also);
    const sum = product.out();
    const products = [{ out: sum.buffer, also, share }];
    const after = { weight, eps: EPS };
    assert(manyRows(recorder, { x: placed.x, weight: packed, rows, form: "add", products, after }));
    kernels = recorder.kernels.map(({ name }) => name);
    const read = readTexels(recorder, also, rows * n / 4, output(gpu, [rows, n]));
    return [stepped, normed, sum, read];
  });
  assert(kernels.includes("many_rows_norm"));
  for (const texture of textures) gpu.texels.destroy(texture);
  product.destroy();
  return results;
}

Deno.test("a product that is added, and the norm of what that comes to, have the bits of their steps", async () => {
  const gpu = await testGpu("software");
  for (const [i, one] of CASES.entries()) {
    const [stepped, normed, sum, read] = await both(gpu, one, 10 * i);
    assertSameBits(sum, stepped, JSON.stringify(one));
    assertSameBits(read, normed, JSON.stringify(one));
  }
});

Deno.test("so they do part by part", async () => {
  // Of 1,056 bytes a row the largest texture holds 124: rows come in parts of 64, 64 and 22.
  using gpu = await Gpu.open({ profile: "software", limits: { maxTextureDimension2D: 8 } });
  const one: StackedCase = { rows: 150, parts: [96], k: 264, dtype: "BF16", form: "add" };
  const [stepped, normed, sum, read] = await both(gpu, one, 5);
  assertSameBits(sum, stepped);
  assertSameBits(read, normed);
});

Deno.test("a norm goes with the product where every core has whole rows, and loops end", () => {
  const size = { rows: 192, columns: 512 };
  assertEquals([48, 49].map((rows) => normsAfter(2, rows, size, 0)), [false, true]);
  assertEquals([48, 49].map((rows) => normsAfter(2, rows, size, 16)), [false, true]);
  assertEquals([496, 497].map((rows) => normsAfter(16, rows, size, 0)), [false, true]);
  assert(!normsAfter(2, 64, { rows: 190, columns: 512 }, 0), "no whole vec4s");
  assert(normsAfter(2, 64, { rows: 4096, columns: 12288 }, 0));
  assert(!normsAfter(2, 64, { rows: 4096, columns: 14336 }, 0), "too many turns");
  assert(!normsAfter(2, 64, { rows: 4096, columns: 12288 }, 2048), "too many with the adapter's");
});
