/** Weight matrices for tests, by the way that a checkpoint's take: encoded, then uploaded. */

import type { Gpu } from "../gpu/gpu.ts";
import { memorySource } from "../weights/byte_source.ts";
import { Checkpoint } from "../weights/checkpoint.ts";
import { toFloat32 } from "../weights/dtype.ts";
import { uploadMatrix, type WeightMatrix } from "../weights/matrix.ts";
import { encodeSafetensors, type TensorData } from "../weights/safetensors_writer.ts";

/** The dtypes that weights are stored in. */
export type StoredDtype = "F32" | "F16" | "BF16";

/** A matrix `[rows, columns]` on the device, and its values as the dtype holds them. */
export async function testMatrix(
  gpu: Gpu,
  values: Float32Array<ArrayBuffer>,
  shape: [number, number],
  dtype: StoredDtype,
): Promise<{ matrix: WeightMatrix; values: Float32Array<ArrayBuffer> }> {
  const data = stored(values, dtype);
  const tensor = { name: "matrix", dtype, shape, data } as TensorData;
  const source = memorySource("test", encodeSafetensors([tensor]));
  const matrix = await uploadMatrix(gpu, await Checkpoint.open(source), {
    name: "matrix",
    rows: shape[0],
    columns: shape[1],
  });
  return { matrix, values: toFloat32(new Uint8Array(data.buffer), dtype) };
}

/** Rounded to f16, or cut to the upper half for bf16. */
function stored(values: Float32Array<ArrayBuffer>, dtype: StoredDtype) {
  if (dtype === "F32") return values;
  if (dtype === "F16") return new Uint16Array(new Float16Array(values).buffer);
  return Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
}
