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

/**
 * Brings a matrix `[rows, columns]` from a checkpoint to the device.
 *
 * @param owned gets every buffer that is made, also those of a matrix that fails half-way
 * @throws {WeightsError} when the tensor is missing, has another shape, or is not f32, f16 or bf16.
 */
export async function uploadMatrix(
  gpu: Gpu,
  checkpoint: Checkpoint,
  name: string,
  [rows, columns]: [number, number],
  owned: GPUBuffer[] = [],
): Promise<WeightMatrix> {
  const info = checkpoint.expectShape(name, [rows, columns]);
  if (!isFloatDtype(info.dtype)) {
    throw new WeightsError(
      `Cannot use tensor "${name}": its dtype is ${info.dtype} (supported: F32, F16, BF16)`,
    );
  }
  const dtype = WEIGHT_DTYPES[info.dtype];
  const stride = Math.ceil(columns / ROW_MULTIPLE) * ROW_MULTIPLE;
  const elementBytes = DTYPE_BYTES[info.dtype];
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
      const bytes = await checkpoint.readRows(name, firstRow + row, piece);
      const padded = padRows(bytes, piece, columns * elementBytes, rowBytes);
      gpu.device.queue.writeBuffer(buffer, row * rowBytes, padded);
    }
  }
  return { name, dtype, rows, columns, stride, rowBytes, windows };
}

/** A vector `[size]` as f32: norms and biases are small, and widening loses nothing. */
export async function uploadVector(
  gpu: Gpu,
  checkpoint: Checkpoint,
  name: string,
  size: number,
  owned: GPUBuffer[] = [],
): Promise<GPUBuffer> {
  checkpoint.expectShape(name, [size]);
  const values = await checkpoint.readFloat32(name);
  const buffer = gpu.buffers.create(name, values.byteLength);
  owned.push(buffer);
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
