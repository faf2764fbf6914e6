/** Weights as a dtype holds them. */

import type { Gpu } from "../gpu/gpu.ts";
import { memorySource } from "../weights/byte_source.ts";
import { Checkpoint } from "../weights/checkpoint.ts";
import { toFloat32 } from "../weights/dtype.ts";
import { uploadMatrix, type WeightMatrix } from "../weights/matrix.ts";
import { encodeSafetensors, type TensorData } from "../weights/safetensors_writer.ts";

/** The dtypes that weights are stored in. */
export type StoredDtype = "F32" | "F16" | "BF16";

/** All of them. */
export const STORED_DTYPES: readonly StoredDtype[] = ["F32", "F16", "BF16"];

type Floats = Float32Array<ArrayBuffer>;

/** The exponent of the largest number that a dtype holds: of 65504, or of 3.4e38. */
export function largestExponent(dtype: StoredDtype): number {
  return dtype === "F16" ? 15 : 127;
}

/** Rounded to f16, or cut to the upper half for bf16. */
export function encodeStored(
  values: Floats,
  dtype: StoredDtype,
): Floats | Uint16Array<ArrayBuffer> {
  if (dtype === "F32") return values;
  if (dtype === "F16") return new Uint16Array(new Float16Array(values).buffer);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(bits.length);
  // Ten times as fast as Uint16Array.from(), and tables of a vocabulary have millions of elements.
  for (let i = 0; i < bits.length; i++) halves[i] = bits[i] >>> 16;
  return halves;
}

/** The values that are left of these when they are stored. */
export function asStored(values: Floats, dtype: StoredDtype): Floats {
  const data = encodeStored(values, dtype);
  return toFloat32(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), dtype);
}

/** A matrix `[rows, columns]` on the device, by the way that a checkpoint's take. */
export async function storedMatrix(
  gpu: Gpu,
  values: Floats,
  [rows, columns]: readonly [number, number],
  dtype: StoredDtype,
  owned?: GPUBuffer[],
): Promise<WeightMatrix> {
  const tensor = {
    name: "matrix",
    dtype,
    shape: [rows, columns],
    data: encodeStored(values, dtype),
  };
  const source = memorySource("audit", encodeSafetensors([tensor as TensorData]));
  const part = { name: "matrix", rows, columns };
  return await uploadMatrix(gpu, await Checkpoint.open(source), part, owned);
}
