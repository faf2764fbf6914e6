import { assert, assertEquals } from "@std/assert";
import { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/kernel.ts";
import type { DeviceProfile } from "../gpu/profile.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  input,
  normals,
  output,
  PROFILES,
  results,
  run,
  testGpu,
  withOutlier,
} from "../../tests/test_gpu.ts";
import { matmul } from "./matmul.ts";
import { matmulReference } from "./matmul_reference.ts";
import { type StoredDtype, testMatrix } from "./matrix_reference.ts";

Deno.test.afterAll(closeTestGpus);

const DTYPES: StoredDtype[] = ["F32", "F16", "BF16"];

interface Case {
  m: number;
  n: number;
  k: number;
  dtype: StoredDtype;
  addScaled?: number;
}

/** About the sizes of blocks (8 × 16), tiles (32 × 32 and 64 × 64, 32 deep) and chunks (64). */
const CASES: Case[] = [];
for (const k of [1, 3, 8, 63, 64, 65, 100, 200]) {
  for (const n of [1, 5, 16, 17, 100]) {
    for (const m of [1, 2, 3, 9, 37]) {
      const dtype = DTYPES[CASES.length % 3]; // 3 and the cycles of 5 are coprime: sizes meet every dtype
      CASES.push({ m, n, k, dtype, addScaled: (m + n + k) % 2 ? undefined : -0.7 });
    }
  }
}
// More chunks than lanes.
CASES.push({ m: 1, n: 7, k: 2100, dtype: "BF16" }, { m: 6, n: 40, k: 300, dtype: "F32" });
// Several rows of texels on both sides.
CASES.push({ m: 100, n: 400, k: 200, dtype: "F16" });
for (const dtype of DTYPES) {
  CASES.push({ m: 65, n: 130, k: 200, dtype }, { m: 65, n: 130, k: 203, dtype, addScaled: 16 });
}

const inputs = CASES.map(({ m, n, k }, i) => {
  const x = normals(3 * i, m * k);
  return { x: i % 2 ? withOutlier(x, k) : x, y: normals(3 * i + 1, m * n), seed: 3 * i + 2 };
});

const name = ({ m, n, k, dtype, addScaled }: Case) =>
  `[${m}, ${k}] · [${n}, ${k}]ᵀ, ${dtype}${addScaled === undefined ? "" : ", added"}`;

/** Runs every case; the weights as they are after rounding to their dtype. */
async function products(profile: DeviceProfile) {
  const gpu = await testGpu(profile);
  const matrices = await Promise.all(
    CASES.map(({ n, k, dtype }, i) =>
      testMatrix(gpu, normals(inputs[i].seed, n * k), [n, k], dtype)
    ),
  );
  const actual = await compute(gpu, (recorder) =>
    CASES.map(({ m, n, addScaled }, i) => {
      const y = addScaled === undefined ? output(gpu, [m, n]) : input(gpu, inputs[i].y, [m, n]);
      const weight = matrices[i].matrix;
      const x = input(gpu, inputs[i].x).buffer;
      matmul(recorder, { x, weight, y: y.buffer, rows: m, addScaled });
      return y;
    }));
  for (const { matrix } of matrices) {
    for (const { buffer } of matrix.windows) gpu.buffers.destroy(buffer);
  }
  return { actual, weights: matrices.map(({ values }) => values) };
}

Deno.test("matmul is within its bound, and all variants give the same bits", async () => {
  const { actual, weights } = await products("software");
  // Of GPUs: lanes for few rows, then small tiles and large ones.
  const { actual: others } = await products("discrete");
  CASES.forEach((one, i) => {
    const { m, n, k, addScaled } = one;
    const { x, y } = inputs[i];
    const add = addScaled === undefined ? undefined : { y, addScaled };
    assertWithin(actual[i], matmulReference(x, weights[i], [m, n, k], add), name(one));
    assertSameBits(others[i], actual[i], `the variant for GPUs, ${name(one)}`);
  });
});

Deno.test("on large GPUs a product's tiles go by how many there are, and by how many registers a thread has", async () => {
  const [software, discrete] = [await testGpu("software"), await testGpu("discrete")];
  const kernelFor = async (rows: number, n: number, k = 8, gpu = discrete) => {
    const values = normals(1, n * k);
    const x = withOutlier(normals(2, rows * k), k);
    const product = async (gpu: Gpu) => {
      const { matrix: weight } = await testMatrix(gpu, values, [n, k], "BF16");
      let kernels: Kernel[] = [];
      const [y] = await compute(gpu, (recorder) => {
        const y = output(gpu, [rows, n]);
        matmul(recorder, { x: input(gpu, x).buffer, weight, y: y.buffer, rows });
        ({ kernels } = recorder);
        return [y];
      });
      for (const { buffer } of weight.windows) gpu.buffers.destroy(buffer);
      return { y, kernels: kernels.map(({ name, constants: { SIDE = "" } }) => `${name} ${SIDE}`) };
    };
    const [expected, found] = [await product(software), await product(gpu)];
    assertSameBits(found.y, expected.y, `[${rows}, ${n}]`);
    return found.kernels.join().trim();
  };
  const { registers } = discrete;
  try {
    assertEquals(await kernelFor(2017, 2040), "matmul_blocked 16");
    assertEquals(await kernelFor(1000, 1030), "matmul_blocked 8");
    assertEquals(await kernelFor(1000, 900), "matmul_staged 16"); // fewer tiles than cores
    assertEquals(await kernelFor(20, 900), "matmul_staged 8");
    assertEquals(await kernelFor(37, 70, 256), "matmul_split");
    assertEquals(await kernelFor(9, 70, 328), "matmul_split");
    discrete.registers = 128;
    assertEquals(await kernelFor(1000, 1030), "matmul_staged 16");
    const apple = await testGpu("apple");
    apple.registers = 128;
    assertEquals(await kernelFor(500, 510, 256, apple), "matmul_staged 16"); // with fewer cores
    assertEquals(await kernelFor(400, 510, 256, apple), "matmul_split");
  } finally {
    discrete.registers = registers;
  }
});

for (const profile of PROFILES) {
  Deno.test(`a row has the same product alone, with few others and in a batch, bit by bit (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const [m, n, k] = [21, 40, 200];
    const x = withOutlier(normals(1, m * k), k);
    // One row at a time, then as many as the variants for few rows take.
    const parts = Array.from({ length: m }, (_, r) => [r, r + 1]);
    parts.push([0, 2], [2, 5], [5, 9], [9, 14]);
    for (const dtype of ["BF16", "F32"] as const) {
      const { matrix } = await testMatrix(gpu, normals(2, n * k), [n, k], dtype);
      const [all, ...alone] = await compute(gpu, (recorder) => {
        const product = (from: number, to: number): DeviceTensor => {
          const y = output(gpu, [to - from, n]);
          const part = input(gpu, x.slice(from * k, to * k)).buffer;
          matmul(recorder, { x: part, weight: matrix, y: y.buffer, rows: to - from });
          return y;
        };
        return [product(0, m), ...parts.map(([from, to]) => product(from, to))];
      });
      parts.forEach(([from, to], i) =>
        assertSameBits(alone[i], all.slice(from * n, to * n), `rows ${from} to ${to}`)
      );
    }
  });

  Deno.test(`weights cut into windows give the same product (${profile})`, async () => {
    const whole = await testGpu(profile);
    using cut = await Gpu.open({ profile, limits: { maxStorageBufferBindingSize: 8192 } });
    const [m, n, k] = [9, 100, 100];
    const x = normals(1, m * k);
    const product = async (gpu: Gpu, windows: number) => {
      const { matrix } = await testMatrix(gpu, normals(2, n * k), [n, k], "F16");
      assertEquals(matrix.windows.length, windows);
      const y = output(gpu, [m, n]);
      const add = input(gpu, normals(3, m * n), [m, n]);
      await run(gpu, (recorder) => {
        const args = { x: input(gpu, x).buffer, weight: matrix, rows: m };
        matmul(recorder, { ...args, y: y.buffer });
        matmul(recorder, { ...args, y: add.buffer, addScaled: 2 });
      });
      return await results(gpu, [y, add]);
    };
    const expected = await product(whole, 1);
    const actual = await product(cut, 3); // 39 rows of 104 · 2 bytes in 8192
    actual.forEach((result, i) => assertSameBits(result, expected[i]));
    assert(expected[0].every(Number.isFinite));
  });
}

Deno.test("textures of one row give the same product, part by part", async () => {
  const [m, n, k] = [70, 100, 104]; // x takes two textures, the weights two
  const product = async (gpu: Gpu) => {
    const { matrix } = await testMatrix(gpu, normals(2, n * k), [n, k], "BF16");
    const y = output(gpu, [m, n]);
    await run(gpu, (recorder) => {
      const x = input(gpu, normals(1, m * k)).buffer;
      matmul(recorder, { x, weight: matrix, rows: m, y: y.buffer });
    });
    return (await results(gpu, [y]))[0];
  };
  using cut = await Gpu.open({ profile: "software", limits: { maxTextureDimension2D: 1 } });
  assertSameBits(await product(cut), await product(await testGpu("software")));
});

Deno.test("f16 denormals and the extremes of each dtype widen exactly", async () => {
  const values = {
    F32: [1.1754943508222875e-38, 3.4028234663852886e38, -0.1, 2 ** -24],
    F16: [2 ** -24, -(2 ** -14 - 2 ** -24), 65504, -0.0999755859375],
    BF16: [1.1754943508222875e-38, 3.3895313892515355e38, -0.10009765625, 2 ** -24],
  };
  for (const dtype of DTYPES) {
    const weights = Float32Array.from(values[dtype]);
    for (const profile of PROFILES) {
      const gpu = await testGpu(profile);
      const { matrix } = await testMatrix(gpu, weights, [4, 1], dtype);
      const [y] = await compute(gpu, (recorder) => {
        const out = output(gpu, [1, 4]);
        const x = input(gpu, Float32Array.of(1)).buffer;
        matmul(recorder, { x, weight: matrix, y: out.buffer, rows: 1 });
        return [out];
      });
      assertEquals(y, weights, `${dtype} (${profile})`);
    }
  }
});
