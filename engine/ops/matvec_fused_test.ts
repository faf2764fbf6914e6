import { assert, assertEquals } from "@std/assert";
import { type Choice, Tuning } from "../gpu/tuning.ts";
import { type StackedCase, StackedProduct } from "../../tests/stacked_products.ts";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  output,
  testGpu,
} from "../../tests/test_gpu.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import { fitsFused, matvecFused } from "./matvec_fused.ts";

Deno.test.afterAll(closeTestGpus);

/** About the sizes of a workgroup's columns (4, 16, 32), of its lanes' chunks (4, 8, 32 × 64), and of the sums of a norm. */
const CASES: StackedCase[] = [
  { rows: 1, parts: [70, 3, 9], k: 328, dtype: "BF16", form: "store", norm: true, bias: true },
  { rows: 4, parts: [37, 20, 21], k: 264, dtype: "F16", form: "store", norm: true, bias: true },
  { rows: 8, parts: [5, 66], k: 520, dtype: "F32", form: "store", norm: true },
  { rows: 1, parts: [33], k: 8, dtype: "F32", form: "add" },
  { rows: 5, parts: [65], k: 2120, dtype: "BF16", form: "add" },
  { rows: 1, parts: [3, 1, 2], k: 4160, dtype: "BF16", form: "store", norm: true },
  { rows: 3, parts: [35, 35], k: 72, dtype: "F32", form: "silu", norm: true },
  { rows: 1, parts: [17, 17], k: 584, dtype: "BF16", form: "gelu_tanh", norm: true },
  { rows: 7, parts: [33, 33], k: 1096, dtype: "F16", form: "silu" },
  // What a sublayer adds.
  { rows: 1, parts: [70, 3, 9], k: 328, dtype: "BF16", form: "store", norm: true, join: "normed" },
  { rows: 3, parts: [35, 35], k: 72, dtype: "F32", form: "gelu_tanh", norm: true, join: "normed" },
  { rows: 6, parts: [70], k: 1096, dtype: "F16", form: "store", norm: true, join: "normed" },
  { rows: 2, parts: [17, 17], k: 2120, dtype: "BF16", form: "silu", norm: true, join: "normed" },
  // What an edit adds.
  { rows: 1, parts: [70, 3, 9], k: 2120, dtype: "BF16", form: "store", norm: true, join: "vector" },
  { rows: 7, parts: [35, 35], k: 72, dtype: "F32", form: "silu", norm: true, join: "vector" },
];

Deno.test("fused products of stored weights are within their bound and have the bits of their steps", async () => {
  const gpu = await testGpu("discrete");
  for (const [i, one] of CASES.entries()) {
    const { rows, k, form } = one;
    const product = await StackedProduct.create(gpu, one, 10 * i);
    const name = JSON.stringify(one);
    const [fused, stepped, sum, joined] = await compute(gpu, (recorder) => {
      const placed = product.place();
      const [fused, sum] = [product.out(), output(gpu, [rows, k])];
      const join = placed.join && { ...placed.join, sum: sum.buffer };
      const args = { ...placed, join, weights: product.matrices, out: fused.buffer, rows, form };
      assert(fitsFused(gpu, args), name);
      const earlier = recorder.dispatches;
      matvecFused(recorder, args);
      assertEquals(recorder.dispatches - earlier, 1);
      const { joined, out } = product.steps(recorder, placed);
      return [fused, out, sum, joined];
    });
    assertSameBits(fused, stepped, name);
    assertWithin(fused, product.reference(), name);
    if (one.join) {
      assertSameBits(sum, joined, `what is joined, ${name}`);
      assertWithin(sum, product.joinedReference(), `what is joined, ${name}`);
    }
    product.destroy();
  }
});

Deno.test("what the fused kernel cannot do, or others do faster, goes step by step", async () => {
  const gpu = await testGpu("discrete");
  const window = { buffer: {} as GPUBuffer, firstRow: 0, rows: 64 };
  const matrix = (changes: Partial<WeightMatrix> = {}): WeightMatrix => ({
    name: "w",
    dtype: 2,
    rows: 64,
    columns: 128,
    stride: 128,
    rowBytes: 256,
    windows: [window],
    ...changes,
  });
  const norm = { weight: window.buffer, eps: 1e-5 };
  const weights = [matrix(), matrix({ rows: 32 })];
  const fits = (
    changes: Partial<Parameters<typeof fitsFused>[1]> = {},
    on: Parameters<typeof fitsFused>[0] = gpu,
  ) => fitsFused(on, { weights, norm, rows: 8, form: "store", ...changes });
  assert(fits());
  assert(fits({ weights: [matrix(), matrix()], form: "silu" }));
  assert(!fits({ rows: 9 }), "more rows");
  assert(!fits({ form: "silu" }), "gates and ups that do not pair");
  assert(!fits({ weights: [matrix(), matrix({ dtype: 1 })] }), "two dtypes");
  assert(!fits({ weights: [matrix(), matrix({ columns: 64 })] }), "two inputs");
  assert(!fits({ weights: [matrix({ windows: [window, window] })] }), "two windows");
  assert(!fits({ weights: [1, 2, 3, 4].map(() => matrix()) }), "four matrices");
  assert(!fits({ weights: [matrix({ columns: 12 })] }), "rows that end amid eight");
  const wide = { weights: [matrix({ columns: 8200 })] };
  assert(!fits(wide), "more sums of a norm than workgroup memory holds");
  assert(fits({ ...wide, norm: undefined }) && fits({ ...wide, rows: 4 }));
  assert(!fits({}, await testGpu("software")));
  const { limits } = gpu;
  const device = { profile: "discrete", precision: "f32", limits } as const;
  const binds = (maxStorageBuffersPerShaderStage: number) =>
    fits({}, {
      ...device,
      tuning: Tuning.none,
      limits: { ...limits, maxStorageBuffersPerShaderStage },
    });
  assert(binds(10) && !binds(9), "as many buffers as the adapter binds");
  const tuned = (choice: Choice<"matmul">) =>
    fits({}, { ...device, tuning: Tuning.always("matmul", choice) });
  assert(tuned("subgroups") && !tuned("rows 8"));
});
