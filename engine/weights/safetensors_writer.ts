/** Writes safetensors files; see `safetensors.ts` for the format. The same input gives the same bytes. */

import { WeightsError } from "../errors.ts";
import { type Dtype, DTYPE_BYTES } from "./dtype.ts";
import { quote } from "./names.ts";

/** The array that holds each dtype; the 16-bit floats as their bits. */
interface DtypeArrays {
  F64: Float64Array;
  F32: Float32Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I64: BigInt64Array;
  I32: Int32Array;
  I16: Int16Array;
  I8: Int8Array;
  U8: Uint8Array;
  BOOL: Uint8Array;
}

/** A tensor to write. */
export type TensorData = {
  [D in Dtype]: { name: string; dtype: D; shape: readonly number[]; data: DtypeArrays[D] };
}[Dtype];

/** What the header says of a tensor. */
export type TensorShape = Pick<TensorData, "name" | "dtype" | "shape">;

/**
 * Encodes tensors in the given order, without gaps. To keep all of them aligned, give wide dtypes first.
 *
 * @param metadata texts for the header's `__metadata__`, in the given order
 * @throws {WeightsError} if a shape does not match its data, or a name is used twice
 */
export function encodeSafetensors(
  tensors: readonly TensorData[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  for (const { name, dtype, shape, data } of tensors) {
    if (tensorBytes({ dtype, shape }) === data.byteLength) continue;
    throw new WeightsError(
      `Cannot write tensor ${quote(name)}: ${data.byteLength} bytes are not a ${dtype} of shape [${
        shape.join(", ")
      }]`,
    );
  }
  const { start, offsets, size } = layoutSafetensors(tensors, metadata);
  const bytes = new Uint8Array(size);
  bytes.set(start);
  tensors.forEach(({ data }, i) =>
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offsets[i])
  );
  return bytes;
}

/**
 * Lays a file out before its data is known: what it begins with, where each tensor's data goes, and its size in all.
 *
 * @throws {WeightsError} if a shape is none, or a name is used twice
 */
export function layoutSafetensors(
  tensors: readonly TensorShape[],
  metadata?: Readonly<Record<string, string>>,
): { start: Uint8Array<ArrayBuffer>; offsets: number[]; size: number } {
  // Built as text: an object would move names such as "0" to the front and lose "__proto__".
  const entries = metadata ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  const names = new Set(["__metadata__"]);
  const begins: number[] = [];
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name)) {
      throw new WeightsError(`Cannot write tensor ${quote(name)}: its name is taken`);
    }
    names.add(name);
    const begin = end;
    begins.push(begin);
    end += tensorBytes({ dtype, shape }) ?? fail(name, shape);
    const entry = JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
    entries.push(`${JSON.stringify(name)}:${entry}`);
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  // Padded with spaces so that the data starts at a multiple of 8.
  const length = Math.ceil(json.length / 8) * 8;
  const start = new Uint8Array(8 + length).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(length), true);
  start.set(json, 8);
  return { start, offsets: begins.map((begin) => start.length + begin), size: start.length + end };
}

/** Bytes of a tensor; undefined for a shape that is none. */
function tensorBytes({ dtype, shape }: Pick<TensorData, "dtype" | "shape">): number | undefined {
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) return undefined;
  return DTYPE_BYTES[dtype] * shape.reduce((product, size) => product * size, 1);
}

function fail(name: string, shape: readonly number[]): never {
  throw new WeightsError(
    `Cannot write tensor ${quote(name)}: [${shape.join(", ")}] is no shape`,
  );
}
