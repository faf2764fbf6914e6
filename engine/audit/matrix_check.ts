/** Tries a device's matrix unit before fast mode relies on it: subgroup matrices are an experiment, of drivers too. */

import { DeviceError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { halfProduct } from "../ops/matmul_half.ts";
import { BLOCKS, matrixKernel } from "../ops/matmul_matrix.ts";
import { matmulReference } from "../ops/matmul_reference.ts";
import { storedMatrix } from "./stored.ts";

/** Sizes that are multiples of no block. */
const [M, N, K] = [37, 41, 72];

/** Integers from −`most` to `most`, of whose products every sum is exact in f32 and every rounding to f16 none. */
function integers(count: number, step: number, most: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => i * step % (2 * most + 1) - most);
}

/**
 * Multiplies integers, which every matrix unit must do exactly. Where this one does not, or its kernels do not compile, the device does without
 * it from then on.
 *
 * @returns why the device has no matrix unit any more; `undefined` where it keeps what it has
 */
export async function checkMatrixUnit(gpu: Gpu): Promise<string | undefined> {
  if (!gpu.matrices) return undefined;
  const fault = await faultOf(gpu);
  if (fault !== undefined) gpu.matrices = undefined;
  return fault;
}

async function faultOf(gpu: Gpu): Promise<string | undefined> {
  const [x, w] = [integers(M * K, 7, 8), integers(N * K, 5, 6)];
  const owned: GPUBuffer[] = [];
  const weight = await storedMatrix(gpu, w, [N, K], "BF16", owned);
  const rows = gpu.tensorFrom(x, [M, K]);
  const outputs = Object.values(BLOCKS).map((blocks) => ({ blocks, y: gpu.tensor([M, N]) }));
  const recorder = gpu.record();
  try {
    for (const { blocks, y } of outputs) {
      const args = { x: rows.buffer, weight, y: y.buffer, rows: M };
      halfProduct(recorder, args, matrixKernel(gpu, gpu.matrices!, weight.dtype, blocks));
    }
    await recorder.submit();
    const products = await gpu.read(outputs.map(({ y }) => y));
    const { expected } = matmulReference(x, w, [M, N, K]);
    const right = products.every((found) =>
      new Float32Array(found).every((value, i) => value === expected[i])
    );
    return right ? undefined : "its products of integers are wrong";
  } catch (error) {
    if (error instanceof DeviceError) return error.message;
    throw error;
  } finally {
    recorder.close();
    for (const tensor of [rows, ...outputs.map(({ y }) => y)]) tensor.release();
    for (const buffer of owned) gpu.buffers.destroy(buffer);
  }
}
