/** The number formats of safetensors files, and exact widening of those that the engine computes with. */

import { WeightsError } from "../errors.ts";

/** Bytes of one element, by the dtype's name in a safetensors header. */
export const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

/** A dtype that can be read. */
export type Dtype = keyof typeof DTYPE_BYTES;

/** A dtype that the engine computes with. */
export type FloatDtype = "F32" | "F16" | "BF16";

/** Whether a header's dtype is one that can be read. */
export function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(DTYPE_BYTES, value);
}

/** Whether the engine computes with a dtype. */
export function isFloatDtype(dtype: Dtype): dtype is FloatDtype {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/**
 * Little-endian F32, F16 or BF16 as float32. Every value of the three is a float32, so nothing is rounded: denormals,
 * infinities and signed zeros stay, NaN stays NaN. The bytes may start at any offset; the result is a copy.
 *
 * @throws {WeightsError} if the dtype is another, or the bytes end within an element
 */
export function toFloat32(bytes: Uint8Array, dtype: Dtype): Float32Array<ArrayBuffer> {
  if (!isFloatDtype(dtype)) {
    throw new WeightsError(
      `Cannot widen ${dtype} to float32: only F32, F16 and BF16 are supported`,
    );
  }
  if (bytes.length % DTYPE_BYTES[dtype] !== 0) {
    throw new WeightsError(
      `Cannot read ${bytes.length} bytes as ${dtype}: an element has ${DTYPE_BYTES[dtype]} bytes`,
    );
  }
  // Copied first: a typed array needs an aligned offset. Every platform with WebGPU is little-endian.
  const { buffer } = new Uint8Array(bytes);
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "F16") return new Float32Array(new Float16Array(buffer));
  // A bfloat16 is the upper half of a float32. A loop is ten times as fast as Uint32Array.from().
  const halves = new Uint16Array(buffer);
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i] << 16;
  return new Float32Array(words.buffer);
}
