import { assert, assertEquals } from "@std/assert";
import { packer, type StackedCase, StackedProduct } from "../../tests/stacked_products.ts";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  output,
  testGpu,
} from "../../tests/test_gpu.ts";
import { columnTurns, fewRows } from "./few_rows.ts";
import { manyRows } from "./many_rows.ts";

Deno.test.afterAll(closeTestGpus);

/** About the sizes of blocks (8 × 32), segments (256 and 512), chunks, and a texture's rows. */
const CASES: StackedCase[] = [
  { rows: 1, parts: [192, 64, 64], k: 192, dtype: "BF16", form: "store", norm: true },
  { rows: 2, parts: [64, 32, 36], k: 264, dtype: "F16", form: "store", norm: true, bias: true },
  { rows: 1, parts: [33], k: 8, dtype: "F32", form: "add" },
  { rows: 9, parts: [132], k: 520, dtype: "BF16", form: "add" },
  { rows: 3, parts: [96, 96], k: 72, dtype: "F32", form: "silu", norm: true },
  { rows: 1, parts: [512, 512], k: 576, dtype: "BF16", form: "gelu_tanh", norm: true },
  { rows: 17, parts: [32, 32], k: 128, dtype: "F16", form: "silu" },
  { rows: 64, parts: [300], k: 64, dtype: "BF16", form: "store" },
  // In turn, where there is one core: the last workgroup has fewer groups of columns; then with rows that are brought again for each.
  { rows: 1, parts: [1312], k: 72, dtype: "BF16", form: "add" },
  { rows: 2, parts: [704, 704], k: 136, dtype: "F16", form: "silu", norm: true },
  { rows: 4, parts: [1312], k: 2112, dtype: "BF16", form: "store", norm: true },
  // What a sublayer adds.
  {
    rows: 1,
    parts: [640, 640],
    k: 192,
    dtype: "BF16",
    form: "gelu_tanh",
    norm: true,
    join: "normed",
  },
  { rows: 3, parts: [64, 100], k: 328, dtype: "F32", form: "store", norm: true, join: "normed" },
  { rows: 5, parts: [96, 96], k: 584, dtype: "F16", form: "silu", norm: true, join: "normed" },
  { rows: 4, parts: [1312], k: 2112, dtype: "BF16", form: "store", norm: true, join: "normed" },
  // What an edit adds.
  { rows: 1, parts: [640, 640], k: 192, dtype: "BF16", form: "silu", norm: true, join: "vector" },
  { rows: 4, parts: [64, 100], k: 584, dtype: "F32", form: "store", norm: true, join: "vector" },
];

/** Lanes side by side, and cores. */
const MACHINES = [[8, 64], [16, 64], [8, 1], [16, 1]] as const;

Deno.test("products of packed weights are within their bound and have the bits of their steps", async () => {
  const gpu = await testGpu("software");
  const { lanes, cores } = gpu;
  for (const [i, one] of CASES.entries()) {
    const { rows, parts, k, form } = one;
    const product = await StackedProduct.create(gpu, one, 10 * i);
    const { n } = product;
    const textures: GPUTexture[] = [];
    const results = await compute(gpu, (recorder) => {
      const placed = product.place();
      const { x, join, norm, bias } = placed;
      const packed = packer(recorder, textures)(product.matrices);
      const weight = { ...packed, bias };
      const many = product.out();
      const fused = MACHINES.flatMap(([lanes, cores]) => {
        Object.assign(gpu, { lanes, cores });
        const [sum, out] = [output(gpu, [rows, k]), product.out()];
        const joined = join && { ...join, sum: sum.buffer };
        fewRows(recorder, { x, join: joined, norm, out: out.buffer, rows, form, weight });
        return [sum, out];
      });
      const { joined: sum, h, out: stepped } = product.steps(recorder, placed);
      const whole = [{ out: many.buffer }];
      const done = manyRows(recorder, { x: h, weight, rows, form, products: whole });
      assertEquals(done, n % 4 === 0);
      if (!done) return [sum, stepped, stepped, ...fused];
      // Of what is stacked, each part by itself.
      const apart = form === "store" ? parts.map((part) => output(gpu, [rows, part])) : [];
      let first = 0;
      const products = apart.map(({ buffer: out }, p) => {
        const product = { out, first, count: parts[p] };
        first += parts[p];
        return product;
      });
      assert(manyRows(recorder, { x: h, weight, rows, form, products }));
      return [sum, stepped, many, ...fused, ...apart];
    });
    Object.assign(gpu, { lanes, cores });
    const [sum, stepped, many] = results;
    const apart = results.slice(3 + 2 * MACHINES.length);
    const name = JSON.stringify(one);
    MACHINES.forEach((machine, i) => {
      const [joined, fused] = results.slice(3 + 2 * i);
      assertSameBits(fused, stepped, `${machine}, ${name}`);
      if (one.join) assertSameBits(joined, sum, `${machine}, what is joined, ${name}`);
    });
    assertSameBits(many, stepped, `many rows, ${name}`);
    let first = 0;
    apart.forEach((values, p) => {
      const columns = Float32Array.from(
        values,
        (_, i) => stepped[Math.floor(i / parts[p]) * n + first + i % parts[p]],
      );
      assertSameBits(values, columns, `part ${p}, ${name}`);
      first += parts[p];
    });
    assertWithin(stepped, product.reference(), name);
    if (one.join) assertWithin(sum, product.joinedReference(), `what is joined, ${name}`);
    for (const texture of textures) gpu.texels.destroy(texture);
    product.destroy();
  }
});

Deno.test("columns in turn: as many as one core wants, and no thread's loops turn more often than llvmpipe lets them", () => {
  const limits = { maxComputeWorkgroupStorageSize: 32768 } as GPUSupportedLimits;
  for (const k of [64, 640, 1152, 2304, 5376, 8192]) {
    for (const ROWS of [1, 2, 4]) {
      const chunks = Math.ceil(k / 64);
      const across = 262_144 / 256;
      const PARTIALS = 2 ** Math.ceil(Math.log2(ROWS * chunks));
      const groups = { ROWS, PARTIALS, k, normed: true, high: 1, across };
      const { turns, segment = ROWS < 4 ? 512 : 256 } = columnTurns({ cores: 1, limits }, groups);
      // As the shader has them, of eight lanes: two norms, then for each group the rows' numbers, chunks and eights.
      const norms = 2 * (Math.ceil(ROWS * chunks / 8) * 17 + 1 + chunks);
      let loops = norms;
      for (let turn = 0; turn < turns; turn++) {
        loops++;
        for (let base = 0; base < k; base += segment) {
          const width = Math.min(segment, k - base);
          loops += 1 + Math.ceil(width / 64) + width / 8;
          if (turn === 0 || k > segment) loops += Math.ceil(ROWS * width / 4 / 8);
        }
      }
      const name = `${ROWS} rows of ${k}: ${turns} turns, ${loops} loops`;
      assert(loops < 65_535, name);
      assert(turns === across / 4 || loops > 50_000, name);
    }
  }
  const fits = { ROWS: 1, PARTIALS: 1, k: 8192, normed: false, high: 1, across: 1024 };
  assertEquals(columnTurns({ cores: 1, limits }, fits), { turns: 1 }, "nothing is kept");
});
