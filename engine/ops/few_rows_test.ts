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
import { fewRows } from "./few_rows.ts";
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
];

Deno.test("products of packed weights are within their bound and have the bits of their steps", async () => {
  const gpu = await testGpu("software");
  for (const [i, one] of CASES.entries()) {
    const { rows, parts, form } = one;
    const product = await StackedProduct.create(gpu, one, 10 * i);
    const { n } = product;
    const textures: GPUTexture[] = [];
    const [fused, doubly, stepped, many, ...apart] = await compute(gpu, (recorder) => {
      const placed = product.place();
      const { x, norm, bias } = placed;
      const packed = packer(recorder, textures)(product.matrices);
      const weight = { ...packed, bias };
      const [fused, doubly, many] = [product.out(), product.out(), product.out()];
      for (const [lanes, out] of [[8, fused], [16, doubly]] as const) {
        gpu.lanes = lanes;
        fewRows(recorder, { x, norm, out: out.buffer, rows, form, weight });
      }
      const { h, out: stepped } = product.steps(recorder, placed);
      const whole = [{ out: many.buffer }];
      const done = manyRows(recorder, { x: h, weight, rows, form, products: whole });
      assertEquals(done, n % 4 === 0);
      if (!done) return [fused, doubly, stepped, stepped];
      // Of what is stacked, each part by itself.
      const apart = form === "store" ? parts.map((part) => output(gpu, [rows, part])) : [];
      let first = 0;
      const products = apart.map(({ buffer: out }, p) => {
        const product = { out, first, count: parts[p] };
        first += parts[p];
        return product;
      });
      assert(manyRows(recorder, { x: h, weight, rows, form, products }));
      return [fused, doubly, stepped, many, ...apart];
    });
    const name = JSON.stringify(one);
    assertSameBits(fused, stepped, name);
    assertSameBits(doubly, stepped, `two groups side by side, ${name}`);
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
    assertWithin(fused, product.reference(), name);
    for (const texture of textures) gpu.texels.destroy(texture);
    product.destroy();
  }
});
