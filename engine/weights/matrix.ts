/** Matrices of weights on the device, in the dtype of their file. */

import { WeightsError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { DTYPE_BYTES, isFloatDtype } from "./dtype.ts";

/** How the shaders name a dtype of weights. */
export const WEIGHT_DTYPES = { F32: 0, F16: 1, BF16: 2 } as const;

/** Rows are padded to a multiple of this many elements, so that kernels load whole `vec4<u32>`. */
const ROW_MULTIPLE = 8;

/** Bytes brought from the file at a time. */
const PIECE_BYTES = 32 << 20;

/** A matrix `[rows, columns]`, cut by rows into windows that can each be bound. */
export interface WeightMatrix {
  readonly name: string;
  /** A value of {@link WEIGHT_DTYPES}. */
  readonly dtype: number;
  readonly rows: number;
  readonly columns: number;
  /** Elements from one row to the next; the padding is zeros. */
  readonly stride: number;
  /** Bytes from one row to the next. */
  readonly rowBytes: number;
  readonly windows: readonly WeightWindow[];
}

/** Consecutive rows of a matrix in one buffer. */
export interface WeightWindow {
  readonly buffer: GPUBuffer;
  readonly firstRow: number;
  readonly rows: number;
}

/** Which rows of a tensor make a matrix. */
export interface MatrixPart {
  /** The tensor's name. */
  name: string;
  rows: number;
  columns: number;
  /** The first of the rows (default: 0), where the tensor has more of them. */
  firstRow?: number;
  /** Rows of the whole tensor (default: `rows`). */
  tensorRows?: number;
}

/**
 * Brings a matrix from a checkpoint to the device: a tensor `[rows, columns]`, or some rows of one.
 *
 * @param owned gets every buffer that is made, also those of a matrix that fails half-way
 * @throws {WeightsError} when the tensor is missing, has another shape, or is not f32, f16 or bf16.
 */
export async function uploadMatrix(
  gpu: Gpu,
  checkpoint: Checkpoint,
  { name, rows, columns, firstRow: skipped = 0, tensorRows = rows }: MatrixPart,
  owned: GPUBuffer[] = [],
): Promise<WeightMatrix> {
  const info = checkpoint.expectShape(name, [tensorRows, columns]);
  if (!isFloatDtype(info.dtype)) {
    throw new WeightsError(
      `Cannot use tensor "${name}": its dtype is ${info.dtype} (supported: F32, F16, BF16)`,
    );
  }
  const read = (row: number, count: number) => checkpoint.readRows(name, skipped + row, count);
  return await uploadRows(gpu, { name, dtype: info.dtype, rows, columns }, read, owned);
}

/** A matrix of values that are in memory, as f32. */
export async function uploadValues(
  gpu: Gpu,
  { name, rows, columns }: MatrixPart,
  values: Float32Array<ArrayBuffer>,
  owned: GPUBuffer[],
): Promise<WeightMatrix> {
  const read = (row: number, count: number) =>
    Promise.resolve(
      new Uint8Array(values.buffer, values.byteOffset + 4 * row * columns, 4 * count * columns),
    );
  return await uploadRows(gpu, { name, dtype: "F32", rows, columns }, read, owned);
}

async function uploadRows(
  gpu: Gpu,
  { name, dtype, rows, columns }: {
    name: string;
    dtype: keyof typeof WEIGHT_DTYPES;
    rows: number;
    columns: number;
  },
  read: (firstRow: number, rows: number) => Promise<Uint8Array<ArrayBuffer>>,
  owned: GPUBuffer[],
): Promise<WeightMatrix> {
  const stride = Math.ceil(columns / ROW_MULTIPLE) * ROW_MULTIPLE;
  const elementBytes = DTYPE_BYTES[dtype];
  const rowBytes = stride * elementBytes;
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits;
  const perWindow = Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / rowBytes);
  if (perWindow === 0) {
    throw new WeightsError(
      `Cannot use tensor "${name}": one row of it is over the adapter's binding size`,
    );
  }
  const windows: WeightWindow[] = [];
  for (let firstRow = 0; firstRow < rows; firstRow += perWindow) {
    const count = Math.min(perWindow, rows - firstRow);
    const buffer = gpu.buffers.create(name, count * rowBytes);
    owned.push(buffer);
    windows.push({ buffer, firstRow, rows: count });
    const perPiece = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
    for (let row = 0; row < count; row += perPiece) {
      const piece = Math.min(perPiece, count - row);
      const bytes = await read(firstRow + row, piece);
      const padded = padRows(bytes, piece, columns * elementBytes, rowBytes);
      await gpu.load(buffer, row * rowBytes, padded);
    }
  }
  return { name, dtype: WEIGHT_DTYPES[dtype], rows, columns, stride, rowBytes, windows };
}

/**
 * A vector `[size]` as f32: norms and biases are small, and widening loses nothing.
 *
 * @param options `offset` is added to every value, in f32; `part` is (first element, count), the whole when absent
 */
export async function uploadVector(
  gpu: Gpu,
  checkpoint: Checkpoint,
  name: string,
  options: {
    size: number;
    offset?: number;
    part?: readonly [number, number];
    owned?: GPUBuffer[];
  },
): Promise<GPUBuffer> {
  const { size, offset = 0, part: [first, count] = [0, size], owned } = options;
  checkpoint.expectShape(name, [size]);
  const values = (await checkpoint.readFloat32(name)).slice(first, first + count);
  if (offset !== 0) values.forEach((value, i) => values[i] = value + offset);
  const buffer = gpu.buffers.create(name, values.byteLength);
  owned?.push(buffer);
  gpu.device.queue.writeBuffer(buffer, 0, values);
  return buffer;
}

function padRows(
  bytes: Uint8Array<ArrayBuffer>,
  rows: number,
  from: number,
  to: number,
): Uint8Array<ArrayBuffer> {
  if (from === to) return bytes;
  const padded = new Uint8Array(rows * to);
  for (let row = 0; row < rows; row++) {
    padded.set(bytes.subarray(row * from, (row + 1) * from), row * to);
  }
  return padded;
}
