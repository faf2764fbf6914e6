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
  const { header, dataBytes } = encodeHeader(tensors, metadata);
  const bytes = new Uint8Array(8 + header.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  let offset = 8 + header.length;
  for (const { data } of tensors) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/** The JSON, padded with spaces so that the data starts at a multiple of 8. */
function encodeHeader(
  tensors: readonly TensorData[],
  metadata?: Readonly<Record<string, string>>,
): { header: Uint8Array; dataBytes: number } {
  // Built as text: an object would move names such as "0" to the front and lose "__proto__".
  const entries = metadata ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  const names = new Set(["__metadata__"]);
  let end = 0;
  for (const tensor of tensors) {
    checkTensor(tensor, names);
    const begin = end;
    end += tensor.data.byteLength;
    const { dtype, shape } = tensor;
    const entry = JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
    entries.push(`${JSON.stringify(tensor.name)}:${entry}`);
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const header = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20);
  header.set(json);
  return { header, dataBytes: end };
}

function checkTensor({ name, dtype, shape, data }: TensorData, names: Set<string>): void {
  if (names.has(name)) {
    throw new WeightsError(`Cannot write tensor ${quote(name)}: its name is taken`);
  }
  names.add(name);
  const elements = shape.reduce((product, size) => product * size, 1);
  const sizes = shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!sizes || elements * DTYPE_BYTES[dtype] !== data.byteLength) {
    throw new WeightsError(
      `Cannot write tensor ${quote(name)}: ${data.byteLength} bytes are not a ${dtype} of shape [${
        shape.join(", ")
      }]`,
    );
  }
}
