/** Weight matrices for tests. */

import { asStored, type StoredDtype, storedMatrix } from "../audit/stored.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { WeightMatrix } from "../weights/matrix.ts";

export type { StoredDtype };

/** A matrix `[rows, columns]` on the device, and its values as the dtype holds them. */
export async function testMatrix(
  gpu: Gpu,
  values: Float32Array<ArrayBuffer>,
  shape: [number, number],
  dtype: StoredDtype,
): Promise<{ matrix: WeightMatrix; values: Float32Array<ArrayBuffer> }> {
  return { matrix: await storedMatrix(gpu, values, shape, dtype), values: asStored(values, dtype) };
}
