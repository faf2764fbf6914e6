import { assert, assertEquals, assertRejects } from "@std/assert";
import { assertFastWithin, assertSameInParts, HAS_HALF, openBoth } from "../../tests/fast_gpu.ts";
import {
  assertSameBits,
  assertWithin,
  BACKEND,
  compute,
  input,
  normals,
  output,
  run,
} from "../../tests/test_gpu.ts";
import { DeviceError } from "../errors.ts";
import { Gpu, requestedFeatures } from "../gpu/gpu.ts";
import { matmul } from "./matmul.ts";
import { matmulHalfReference } from "./matmul_half_reference.ts";
import { matmulReference } from "./matmul_reference.ts";
import { type StoredDtype, testMatrix } from "./matrix_reference.ts";

const DTYPES: StoredDtype[] = ["F32", "F16", "BF16"];

/** Has a device multiply by matmul_half.wgsl: matmul_matrix_test.ts is for the other kernel, which has a wider bound. */
function withoutUnit(gpu: Gpu): void {
  gpu.matrices = undefined;
}

/** In fast mode, on a device that is then closed. */
function fastTest(name: string, body: (gpu: Gpu) => Promise<void>): void {
  Deno.test(name, { ignore: !HAS_HALF }, async () => {
    using gpu = await openBoth();
    gpu.precision = "fast";
    withoutUnit(gpu);
    await body(gpu);
  });
}

fastTest("fast products are within their bound, and are not those of f32", async (gpu) => {
  for (const [i, sizes] of ([[1, 40, 200], [7, 33, 65], [70, 70, 130]] as const).entries()) {
    for (const dtype of DTYPES) {
      const { y, x, w } = await assertFastWithin(gpu, sizes, dtype, i, matmulHalfReference);
      const exact = matmulReference(x, w, sizes);
      const name = `${sizes} ${dtype}`;
      assert(y.some((v, j) => Math.abs(v - exact.expected[j]) > exact.bound[j]), name);
    }
  }
});

fastTest("no element overflows, whatever the ranges are", async (gpu) => {
  const [m, n, k] = [5, 20, 130];
  // f16 ends at 65504; weights of bf16 and f32 may be larger too.
  for (const [large, weights] of [[1e5, 1], [1e30, 1e-20], [1e-30, 1e6], [3e4, 3e4], [0, 1]]) {
    const x = normals(1, m * k).map((v, i) => i % k === 7 ? large * v : v * Math.min(1, large));
    const w = normals(2, n * k).map((value) => value * weights);
    for (const dtype of ["F32", "BF16"] as const) {
      const { matrix, values } = await testMatrix(gpu, w, [n, k], dtype);
      const [y] = await compute(gpu, (recorder) => {
        const y = output(gpu, [m, n]);
        matmul(recorder, { x: input(gpu, x).buffer, weight: matrix, y: y.buffer, rows: m });
        return [y];
      });
      const name = `activations of ${large}, weights of ${weights}, ${dtype}`;
      assert(y.every(Number.isFinite), name);
      assertWithin(y, matmulHalfReference(x, values, [m, n, k]), name);
    }
  }
});

Deno.test("a row has the same fast product in any batch and on every class of adapter", {
  ignore: !HAS_HALF,
}, async () => {
  await assertSameInParts(70, [[0, 1], [1, 5], [5, 25], [25, 60]], withoutUnit);
});

fastTest("weights cut into windows give the same fast product", async (gpu) => {
  using cut = await Gpu.open({
    backend: BACKEND,
    precision: "fast",
    limits: { maxStorageBufferBindingSize: 8192 },
  });
  const [m, n, k] = [9, 100, 100];
  const product = async (gpu: Gpu, windows: number) => {
    const { matrix } = await testMatrix(gpu, normals(2, n * k), [n, k], "F16");
    assertEquals(matrix.windows.length, windows);
    const [y] = await compute(gpu, (recorder) => {
      const y = output(gpu, [m, n]);
      const x = input(gpu, normals(1, m * k)).buffer;
      matmul(recorder, { x, weight: matrix, y: y.buffer, rows: m });
      return [y];
    });
    return y;
  };
  assertSameBits(await product(cut, 3), await product(gpu, 1));
});

Deno.test("a device for f32 has no scales, and one for both computes f32 with the same bits", async () => {
  using plain = await Gpu.open({ backend: BACKEND });
  using both = await openBoth();
  const [m, n, k] = [40, 50, 130];
  const results = await Promise.all([plain, both].map(async (gpu) => {
    const { matrix } = await testMatrix(gpu, normals(2, n * k), [n, k], "BF16");
    assertEquals(matrix.windows[0].scale !== undefined, gpu === both && HAS_HALF);
    const y = output(gpu, [m, n]);
    await run(gpu, (recorder) => {
      const x = input(gpu, normals(1, m * k)).buffer;
      matmul(recorder, { x, weight: matrix, y: y.buffer, rows: m });
    });
    return await y.read();
  }));
  assertSameBits(results[1], results[0]);
});

Deno.test("an adapter without f16 refuses fast mode, and says so", async () => {
  const without = { backend: "deno", name: "an adapter", features: new Set<string>() } as const;
  assertEquals(requestedFeatures(without, { both: true }), []);
  const features = new Set(["shader-f16", "timestamp-query", "subgroups"]);
  const always = ["timestamp-query", "subgroups"] as const;
  assertEquals(requestedFeatures({ ...without, features }, {}), [...always]);
  for (const options of [{ precision: "fast" }, { both: true }] as const) {
    const found = requestedFeatures({ ...without, features }, options);
    assertEquals(found, [...always, "shader-f16"]);
  }
  await assertRejects(
    // deno-lint-ignore require-await
    async () => requestedFeatures(without, { precision: "fast" }),
    DeviceError,
    "Cannot compute in fast mode: the adapter has no shader-f16 (an adapter, deno)",
  );
  if (!HAS_HALF) {
    await assertRejects(
      () => Gpu.open({ backend: BACKEND, precision: "fast" }),
      DeviceError,
      "no shader-f16",
    );
  }
});
