/** Matrix products as the engine runs them, and the first version's kernel as a yardstick. */

import { assertWithin, normals } from "../../tests/test_gpu.ts";
import { foldGrid, type Recorder } from "../../engine/gpu/recorder.ts";
import { f32, u32 } from "../../engine/gpu/uniforms.ts";
import { matmul, type MatmulArgs } from "../../engine/ops/matmul.ts";
import { matmulMatrixReference } from "../../engine/ops/matmul_half_reference.ts";
import { matmulReference } from "../../engine/ops/matmul_reference.ts";
import { testMatrix } from "../../engine/ops/matrix_reference.ts";
import { type KernelCase, once } from "./case.ts";

/** Rows, outputs and inputs of a product. */
export type MatmulShape = readonly [number, number, number];

/** Products of many rows, as in prefill: bound by arithmetic. */
export const MATMUL_SHAPES: readonly MatmulShape[] = [
  [640, 768, 768],
  [640, 2048, 2048],
  [512, 512, 192],
  [512, 192, 512],
  [512, 512, 512],
  [512, 1536, 512],
  [512, 512, 1536],
  [512, 1536, 576],
  [512, 576, 1536],
];

/** One that fills every core of a large GPU some times over: seconds on CPU cores. */
export const LARGE_MATMUL_SHAPE: MatmulShape = [4096, 4096, 4096];

/** Products of few rows, as in batched decoding. */
export const FEW_ROW_SHAPES: readonly MatmulShape[] = [
  [8, 2048, 2048],
  [32, 512, 512],
  [64, 512, 192],
  [64, 2048, 2048],
];

/** Products of one row, as in decoding: bound by reading the weights. */
export const MATVEC_SHAPES: readonly MatmulShape[] = [
  [1, 512, 192],
  [1, 2048, 2048],
  [1, 8192, 2048],
  [1, 49_152, 576],
];

/** `matmul/640x2048x2048`. */
const named = (kind: string, shape: MatmulShape) => `${kind}/${shape.join("x")}`;

/** A product by the engine's own choice of kernel, weights in bf16. */
export function matmulCase(shape: MatmulShape): KernelCase {
  const [m, n, k] = shape;
  return m === 1
    ? productCase(named("matvec", shape), shape, "copy", 2 * n * k, matmul)
    : productCase(named("matmul", shape), shape, "fma", 2 * m * n * k, matmul);
}

/** The same product in fast mode, for a device that was opened for it. */
export function fastMatmulCase(shape: MatmulShape): KernelCase {
  const [m, n, k] = shape;
  const record = (recorder: Recorder, args: MatmulArgs) =>
    recorder.gpu.inPrecision("fast", () => matmul(recorder, args));
  const name = named("matmul-fast", shape);
  return productCase(name, shape, "fma", 2 * m * n * k, record, matmulMatrixReference);
}

/** The same product by the first version's register-blocked kernel. */
export async function firstMatmulCase(shape: MatmulShape): Promise<KernelCase> {
  const [m, n, k] = shape;
  const code = await Deno.readTextFile(new URL("../lab/matmul/first.wgsl", import.meta.url));
  const record = (recorder: Recorder, { x, weight, y, rows }: MatmulArgs) => {
    const constants = { WEIGHT_DTYPE: weight.dtype, ROWS: 8, ALIGNED: k % 4 === 0 ? 1 : 0 };
    const kernel = recorder.gpu.kernels.get("bench_first_matmul", code, constants);
    const [{ buffer }] = weight.windows;
    const sizes = [rows, n, k, weight.stride, n, 0, 0].map(u32);
    const groups = Math.ceil(Math.ceil(rows / 8) * Math.ceil(n / 16) / 8);
    recorder.dispatch(kernel, [x, buffer, y], [...sizes, f32(1)], foldGrid(groups));
  };
  return productCase(named("matmul-first", shape), shape, "fma", 2 * m * n * k, record);
}

/** Rows and outputs that are compared with float64: all of them would take longer than everything else. */
const SAMPLE = [4, 64] as const;

function productCase(
  name: string,
  [m, n, k]: MatmulShape,
  bound: KernelCase["bound"],
  amount: number,
  product: (recorder: Recorder, args: MatmulArgs) => void,
  referenceOf = matmulReference,
): KernelCase {
  return {
    name,
    bound,
    amount,
    async prepare(gpu) {
      const values = normals(2, m * k);
      const { matrix: weight, values: w } = await testMatrix(
        gpu,
        normals(3, n * k),
        [n, k],
        "BF16",
      );
      const [x, y] = [gpu.tensorFrom(values, [m, k]), gpu.tensor([m, n])];
      const args = { x: x.buffer, weight, y: y.buffer, rows: m };
      const record = (recorder: Recorder) => product(recorder, args);
      await once(gpu, record);
      const all = await y.read();
      const [rows, columns] = [Math.min(m, SAMPLE[0]), Math.min(n, SAMPLE[1])];
      const [row, column] = [m - rows, n - columns];
      const reference = referenceOf(
        values.subarray(row * k),
        w.subarray(column * k),
        [rows, columns, k],
      );
      const part = Array.from(
        { length: rows },
        (_, r) => all.subarray((row + r + 1) * n - columns, (row + r + 1) * n),
      );
      assertWithin(part.flatMap((values) => [...values]), reference, name);
      const release = () => {
        for (const tensor of [x, y]) tensor.release();
        for (const { buffer } of weight.windows) gpu.buffers.destroy(buffer);
      };
      return { record, checked: "float64 (a sample)", release };
    },
  };
}
