import { assert, assertEquals } from "@std/assert";
import { Gpu } from "../gpu/gpu.ts";
import { packer, type StackedCase, StackedProduct } from "../../tests/stacked_products.ts";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  input,
  normals,
  output,
  testGpu,
} from "../../tests/test_gpu.ts";
import { readTexels } from "../audit/read_texels.ts";
import { packedRows, planPacked, recordPacking } from "../weights/packed.ts";
import { isGated } from "./few_rows.ts";
import { leastTexels, manyRows } from "./many_rows.ts";
import { matmul } from "./matmul.ts";
import { testMatrix } from "./matrix_reference.ts";

Deno.test.afterAll(closeTestGpus);

/** With adapters: other dtypes, ranks beside a chunk, parts of several ranks and of none, all widths of a group. */
const ADAPTED: StackedCase[] = [
  {
    rows: 70,
    parts: [192, 64, 40],
    k: 72,
    dtype: "BF16",
    form: "store",
    bias: true,
    lora: { ranks: [16, 0, 8], dtype: "F32", scale: 2 },
  },
  {
    rows: 9,
    parts: [256, 32],
    k: 264,
    dtype: "F32",
    form: "store",
    lora: { ranks: [72, 136], dtype: "BF16", scale: -0.7 },
  },
  {
    rows: 33,
    parts: [132],
    k: 520,
    dtype: "F16",
    form: "add",
    lora: { ranks: [64], dtype: "F16", scale: 0.3 },
  },
  {
    rows: 40,
    parts: [28],
    k: 200,
    dtype: "BF16",
    form: "store",
    lora: { ranks: [24], dtype: "BF16", scale: 0.8 },
  },
  {
    rows: 100,
    parts: [96, 96],
    k: 136,
    dtype: "BF16",
    form: "silu",
    lora: { ranks: [24, 24], dtype: "BF16", scale: 1.5 },
  },
  {
    rows: 5,
    parts: [320, 320],
    k: 64,
    dtype: "BF16",
    form: "gelu_tanh",
    lora: { ranks: [8, 8], dtype: "F16", scale: 0.1 },
  },
];

/** Runs a case by {@link manyRows}, parts beside each other, into a buffer and into a texture; and step by step. */
async function adapted(gpu: Gpu, one: StackedCase, seed: number, dispatches?: number) {
  const { rows, parts, form } = one;
  const product = await StackedProduct.create(gpu, one, seed);
  const { n, lora } = product;
  const textures: GPUTexture[] = [];
  const results = await compute(gpu, (recorder) => {
    const placed = product.place();
    const packed = packer(recorder, textures);
    const weight = { ...packed(product.matrices), bias: placed.bias };
    const { out: stepped } = product.steps(recorder, placed);
    const known = lora.filter((factor) => factor !== undefined);
    const factors = known.map(({ a }) => a);
    const lows = packed(factors, true);
    const share = (some: typeof known) => {
      if (some.length === 0) return undefined;
      const firsts = some.map(({ a }) => packedRows(factors)[factors.indexOf(a)]);
      return { lows, firsts, b: packed(some.map(({ b }) => b)), scale: one.lora!.scale };
    };
    const shares = form === "store"
      ? lora.map((factor) => share(factor ? [factor] : []))
      : [share(known)];
    const width = isGated(form) ? n / 2 : n;
    const results = [stepped];
    for (
      const inTexels of form === "add" || 4 * rows * width > gpu.texels.largest
        ? [false]
        : [false, true]
    ) {
      const sum = product.out();
      const texture = inTexels ? gpu.texels.acquire(4 * rows * width) : undefined;
      const out = texture ?? sum.buffer;
      let first = 0;
      const products = shares.map((share, p) => {
        if (form !== "store") return { out, share };
        const product = { out, first, count: parts[p], columns: { stride: n, first }, share };
        first += parts[p];
        return product;
      });
      const earlier = recorder.dispatches;
      assert(manyRows(recorder, { x: placed.x, weight, rows, form, products }));
      if (dispatches !== undefined) assertEquals(recorder.dispatches - earlier, dispatches);
      // What the factors make of few rows is quicker with lanes over the columns.
      const narrow = recorder.kernels.some(({ name }) => name === "narrow_rows");
      assertEquals(narrow, rows > 32, `${rows} rows`);
      if (texture) {
        readTexels(recorder, texture, rows * width / 4, sum);
        gpu.texels.release(texture);
      }
      results.push(sum);
    }
    return results;
  });
  const reference = product.reference();
  for (const texture of textures) gpu.texels.destroy(texture);
  product.destroy();
  const [stepped, ...ways] = results;
  return { stepped, ways, reference };
}

Deno.test("an adapter's share goes with the product: within its bound, with the bits of its steps", async () => {
  const gpu = await testGpu("software");
  for (const [i, one] of ADAPTED.entries()) {
    const name = JSON.stringify(one);
    const { stepped, ways, reference } = await adapted(gpu, one, 10 * i);
    assertEquals(ways.length, one.form === "add" ? 1 : 2);
    for (const way of ways) assertSameBits(way, stepped, name);
    assertWithin(stepped, reference, name);
  }
});

Deno.test("adapted products go in parts too", async () => {
  using gpu = await Gpu.open({ profile: "software", limits: { maxTextureDimension2D: 8 } });
  const one: StackedCase = {
    rows: 150,
    parts: [96, 36],
    k: 264,
    dtype: "F16",
    form: "store",
    lora: { ranks: [16, 8], dtype: "BF16", scale: 0.5 },
  };
  // What the factors make and two adapted products, for each of 64, 64 and 22 rows.
  const { stepped, ways } = await adapted(gpu, one, 7, 9);
  assertEquals(ways.length, 2);
  for (const way of ways) assertSameBits(way, stepped);
});

/** With a norm before; widths of groups with two, three and four blocks; results that are stored, added or gated. */
const NORMED: StackedCase[] = [
  { rows: 37, parts: [64], k: 72, dtype: "BF16", form: "store", norm: true, bias: true },
  { rows: 9, parts: [96, 64, 32], k: 264, dtype: "F16", form: "store", norm: true },
  { rows: 70, parts: [160, 100], k: 520, dtype: "F32", form: "store", norm: true, bias: true },
  { rows: 12, parts: [192], k: 192, dtype: "BF16", form: "add", norm: true },
  { rows: 65, parts: [96, 96], k: 136, dtype: "BF16", form: "silu", norm: true },
  { rows: 16, parts: [128, 128], k: 1544, dtype: "BF16", form: "gelu_tanh", norm: true },
];

/**
 * Step by step, and by way of textures: the rows that are read come from a buffer with the norm before, from one whose rows are
 * in a texture too, or from a texture without a norm. What is added to something goes to a buffer and a texture.
 */
async function throughTexels(gpu: Gpu, one: StackedCase, seed: number, dispatches?: number) {
  const { rows, form, k } = one;
  const product = await StackedProduct.create(gpu, one, seed);
  const width = isGated(form) ? product.n / 2 : product.n;
  const weights: GPUTexture[] = [];
  const computed = await compute(gpu, (recorder) => {
    const { texels } = gpu;
    const { x, norm, bias } = product.place();
    const packed = packer(recorder, weights)(product.matrices);
    const { h, out: stepped } = product.steps(recorder, { x, norm, bias });
    const copies = 4 * rows * k > texels.largest ? [] : [x, h].map((buffer) => {
      const texture = texels.acquire(4 * rows * k)!;
      recorder.copyToTexels({ buffer, offset: 0, bytes: 4 * rows * k, texture });
      return texture;
    });
    const [copy, normed] = copies;
    const ways = [
      { x, norm },
      ...copy && norm ? [{ x, norm: { ...norm, texels: copy } }] : [],
      ...normed ? [{ x: normed }] : [],
    ];
    const results = ways.flatMap((way) => {
      const texture = texels.acquire(4 * rows * width)!;
      const sum = form === "add" ? product.out() : undefined;
      const end = sum ? { out: sum.buffer, also: texture } : { out: texture };
      const earlier = recorder.dispatches;
      const args = { ...way, weight: { ...packed, bias }, rows, form, products: [end] };
      assert(manyRows(recorder, args));
      if (dispatches !== undefined) assertEquals(recorder.dispatches - earlier, dispatches);
      const read = readTexels(recorder, texture, rows * width / 4, output(gpu, [rows, width]));
      texels.release(texture);
      return sum ? [sum, read] : [read];
    });
    for (const texture of copies) texels.release(texture);
    return [stepped, ...results];
  });
  const reference = product.reference();
  for (const texture of weights) gpu.texels.destroy(texture);
  product.destroy();
  return { computed, reference };
}

Deno.test("norms, rows and results in textures: within their bound, with the bits of the steps", async () => {
  const gpu = await testGpu("software");
  for (const [i, one] of NORMED.entries()) {
    const name = JSON.stringify(one);
    const { computed: [stepped, ...ways], reference } = await throughTexels(gpu, one, 20 * i);
    assertEquals(ways.length, one.form === "add" ? 6 : 3);
    ways.forEach((way, w) => assertSameBits(way, stepped, `${w}, ${name}`));
    assertWithin(ways[0], reference, name);
  }
});

Deno.test("norms and results in textures go in parts where a texture does not hold the rows", async () => {
  using gpu = await Gpu.open({ profile: "software", limits: { maxTextureDimension2D: 8 } });
  const one: StackedCase = {
    rows: 150,
    parts: [64, 64],
    k: 264,
    dtype: "BF16",
    form: "silu",
    norm: true,
  };
  // A norm and a product, for each of 64, 64 and 22 rows.
  const { computed: [stepped, normed, ...others] } = await throughTexels(gpu, one, 3, 6);
  assertEquals(others.length, 0);
  assertSameBits(normed, stepped);
});

Deno.test("rows that lie in a texture already go through it at once, however many they are", async () => {
  // Of 1,056 bytes a row the largest texture holds 124: more than come in whole parts of 64.
  using gpu = await Gpu.open({ profile: "software", limits: { maxTextureDimension2D: 8 } });
  const one: StackedCase = { rows: 100, parts: [64], k: 264, dtype: "F16", form: "store" };
  const { computed: [stepped, ...ways] } = await throughTexels(gpu, one, 5);
  assertEquals(ways.length, 2);
  for (const way of ways) assertSameBits(way, stepped);
});

Deno.test("many rows go in parts where a texture does not hold them, and not at all without one", async () => {
  using gpu = await Gpu.open({ profile: "software", limits: { maxTextureDimension2D: 8 } });
  const [rows, n, k] = [150, 132, 264];
  const { matrix } = await testMatrix(gpu, normals(1, n * k), [n, k], "F16");
  const [x, before] = [normals(2, rows * k), normals(3, rows * n)];
  const [parted, whole] = await compute(gpu, (recorder) => {
    const packed = planPacked([matrix], (bytes) => gpu.texels.create(bytes))!;
    recordPacking(recorder, packed);
    const [parted, whole] = [0, 1].map(() => input(gpu, before, [rows, n]));
    const args = { x: input(gpu, x).buffer, rows };
    const products = [{ out: parted.buffer }];
    const earlier = recorder.dispatches;
    assert(manyRows(recorder, { ...args, weight: packed, form: "add", products }));
    assertEquals(recorder.dispatches - earlier, 3);
    matmul(recorder, { ...args, weight: matrix, y: whole.buffer, addScaled: 1 });
    return [parted, whole];
  });
  assertSameBits(parted, whole, "in parts");

  using poor = await Gpu.open({ profile: "software", memoryBudget: 1 << 20 });
  const recorder = poor.record();
  const packed = { dtype: 2, rows: 64, columns: 4096, parts: [], texture: {} as GPUTexture };
  const out = poor.tensor([64, 64]).buffer;
  const args = { x: out, weight: packed, rows: 64, form: "store" as const, products: [{ out }] };
  assert(!manyRows(recorder, args));
  assertEquals(recorder.dispatches, 0);
  recorder.close();
});

Deno.test("a texture for 64 rows is enough for any number of them, when there is no memory for another", async () => {
  using gpu = await Gpu.open({ profile: "software", memoryBudget: 8 << 20 });
  const { texels, buffers } = gpu;
  const [n, k] = [132, 264];
  const { matrix } = await testMatrix(gpu, normals(1, n * k), [n, k], "F16");
  const weight = planPacked([matrix], (bytes) => texels.claim("weights", bytes))!;
  const least = leastTexels(matrix);
  assertEquals(least, 64 * 4 * k);
  // Of 1,024 texels a row it has five, which hold 77 rows.
  for (const [rows, parts] of [[64, 1], [77, 1], [78, 2], [150, 3]]) {
    let standing: GPUTexture;
    const [parted, whole] = await compute(gpu, (recorder) => {
      recordPacking(recorder, weight);
      const args = { x: input(gpu, normals(2, rows * k)).buffer, rows };
      const [parted, whole] = [0, 1].map(() => output(gpu, [rows, n]));
      const products = [{ out: parted.buffer }];
      const taken = buffers.remainingBytes;
      buffers.take(taken, "others");
      const form = "store";
      assert(!manyRows(recorder, { ...args, weight, form, products }));
      buffers.give(taken);
      standing = texels.stand(least);
      buffers.take(taken - 5 * 16384, "others");
      const earlier = recorder.dispatches;
      assert(manyRows(recorder, { ...args, weight, form, products }));
      assertEquals(recorder.dispatches - earlier, parts, `${rows} rows`);
      buffers.give(taken - 5 * 16384);
      matmul(recorder, { ...args, weight: matrix, y: whole.buffer });
      return [parted, whole];
    });
    assertSameBits(parted, whole, `${rows} rows`);
    texels.unstand(standing!);
    buffers.trim();
  }
});

Deno.test("groups are no wider than the columns that there are", async () => {
  const gpu = await testGpu("software");
  const k = 64;
  for (const [n, blocks] of [[20, 1], [32, 1], [64, 2], [96, 3], [128, 4]]) {
    const { matrix } = await testMatrix(gpu, normals(1, n * k), [n, k], "BF16");
    const weight = planPacked([matrix], (bytes) => gpu.texels.create(bytes))!;
    const x = gpu.texels.create(4 * 9 * k)!;
    const recorder = gpu.record();
    const out = gpu.tensor([9, n]);
    const products = [{ out: out.buffer }];
    assert(manyRows(recorder, { x, weight, rows: 9, form: "store", products }));
    const widths = recorder.kernels.map(({ constants }) => constants.BLOCKS);
    recorder.close();
    out.release();
    assertEquals(widths, [blocks], `${n} columns`);
    for (const texture of [weight.texture, x]) gpu.texels.destroy(texture);
  }
});

Deno.test("products of one input share a kernel, unless that would leave many columns without use", async () => {
  const gpu = await testGpu("software");
  const cases: [number[], number[]][] = [
    [[192, 64, 64], [3]],
    [[576, 192, 192], [3]],
    [[512, 256, 256], [4]],
    [[256, 32], [4, 1]],
  ];
  for (const [counts, widths] of cases) {
    const [n, k] = [counts.reduce((sum, count) => sum + count), 64];
    const { matrix } = await testMatrix(gpu, normals(1, n * k), [n, k], "BF16");
    const weight = planPacked([matrix], (bytes) => gpu.texels.create(bytes))!;
    const x = gpu.texels.create(4 * 9 * k)!;
    const recorder = gpu.record();
    const outs = counts.map((count) => gpu.tensor([9, count]));
    const firsts = counts.map((_, i) => counts.slice(0, i).reduce((sum, count) => sum + count, 0));
    const products = outs.map(({ buffer: out }, i) => ({
      out,
      first: firsts[i],
      count: counts[i],
    }));
    assert(manyRows(recorder, { x, weight, rows: 9, form: "store", products }));
    const kernels = recorder.kernels.map(({ constants }) => constants.BLOCKS);
    recorder.close();
    for (const out of outs) out.release();
    assertEquals(kernels, widths, `${counts}`);
    for (const texture of [weight.texture, x]) gpu.texels.destroy(texture);
  }
});
