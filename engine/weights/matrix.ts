/** Matrices and vectors of weights on the device: how they lie there, and how their bytes come from a checkpoint. */

import { WeightsError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { rowScale } from "../ops/matmul_half.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { DTYPE_BYTES, type FloatDtype, isFloatDtype } from "./dtype.ts";
import type { Stage } from "./stage.ts";
import { runTransfers, stagingFor, type Transfer } from "./transfer.ts";

/** How the shaders name a dtype of weights. */
export const WEIGHT_DTYPES = { F32: 0, F16: 1, BF16: 2 } as const;

/** Rows are padded to a multiple of this many elements, so that kernels load whole `vec4<u32>`. */
const ROW_MULTIPLE = 8;

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
  /** Of a matrix that is not on the device as a whole: brings the listed rows, rising, into a buffer, one after the other. */
  readonly gather?: (rows: Uint32Array, buffer: GPUBuffer) => Promise<void>;
}

/** Consecutive rows of a matrix in one buffer. */
export interface WeightWindow {
  readonly buffer: GPUBuffer;
  /** `[rows]` f32, where the device was opened for fast mode: what its kernel multiplies the rows by; see `rowScale`. */
  readonly scale?: GPUBuffer;
  readonly firstRow: number;
  readonly rows: number;
  /** What must be brought before the window is read, where the buffer is shared with others. */
  readonly stage?: Stage;
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

/** Which elements of a tensor make a vector, and what is added to each, in f32. */
export interface VectorPart {
  size: number;
  offset?: number;
  /** (first element, count), the whole when absent. */
  part?: readonly [number, number];
}

/** A buffer of at least so many bytes for weights. */
export type MakeBuffer = (label: string, bytes: number) => GPUBuffer;

/** Gives matrices and vectors their buffers, and notes what will have to be brought into each. */
export class WeightLayout {
  readonly transfers: Transfer[] = [];

  constructor(
    protected readonly gpu: Gpu,
    protected readonly checkpoint: Checkpoint,
    private readonly make: MakeBuffer,
  ) {}

  /**
   * A tensor `[rows, columns]`, or some rows of one, in its own dtype.
   *
   * @throws {WeightsError} when the tensor is missing, has another shape, or is not f32, f16 or bf16.
   */
  matrix(part: MatrixPart): WeightMatrix {
    const { name, rows, columns, firstRow: skipped = 0 } = part;
    const shape = matrixShape(this.checkpoint, part);
    const windows = this.#windows(name, rows, shape.rowBytes).map((window) => {
      this.transfers.push({
        ...this.#transfer(window, shape),
        position: this.checkpoint.position(name),
        fill: rowReader(this.checkpoint, part, shape, skipped + window.firstRow),
      });
      return window;
    });
    return { name, rows, columns, ...shape, windows };
  }

  /** A matrix of values that are in memory, as f32. */
  values({ name, rows, columns }: MatrixPart, values: Float32Array<ArrayBuffer>): WeightMatrix {
    const shape = paddedRows("F32", columns);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const length = 4 * columns;
    const windows = this.#windows(name, rows, shape.rowBytes).map((window) => {
      const fill = (target: Uint8Array, first: number, count: number) => {
        target.fill(0);
        for (let row = 0; row < count; row++) {
          const from = (window.firstRow + first + row) * length;
          target.set(bytes.subarray(from, from + length), row * shape.rowBytes);
        }
      };
      this.transfers.push({ ...this.#transfer(window, shape), position: 0, fill });
      return window;
    });
    return { name, rows, columns, ...shape, windows };
  }

  /** A vector `[size]` as f32: norms and biases are small, and widening loses nothing. */
  vector(name: string, part: VectorPart): GPUBuffer {
    return this.vectors([{ name, ...part }]);
  }

  /** Vectors one after the other. */
  vectors(parts: readonly (VectorPart & { name: string })[]): GPUBuffer {
    const { checkpoint } = this;
    const spans = parts.map(({ name, size, offset = 0, part: [first, count] = [0, size] }) => {
      checkpoint.expectShape(name, [size]);
      return { name, offset, first, count };
    });
    const [{ name }] = spans;
    const unit = 4 * spans.reduce((sum, { count }) => sum + count, 0);
    const buffer = this.make(name, unit);
    const fill = async (target: Uint8Array<ArrayBuffer>) => {
      let at = 0;
      for (const { name, offset, first, count } of spans) {
        const values = (await checkpoint.readFloat32(name)).slice(first, first + count);
        if (offset !== 0) values.forEach((value, i) => values[i] = value + offset);
        target.set(new Uint8Array(values.buffer), at);
        at += 4 * count;
      }
    };
    this.transfers.push({ to: buffer, unit, units: 1, position: checkpoint.position(name), fill });
    return buffer;
  }

  #windows(name: string, rows: number, rowBytes: number): WeightWindow[] {
    const perWindow = windowRows(this.gpu, name, rowBytes);
    const windows: WeightWindow[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += perWindow) {
      const count = Math.min(perWindow, rows - firstRow);
      const buffer = this.make(name, count * rowBytes);
      const scale = this.gpu.half ? this.make(`scales of ${name}`, 4 * count) : undefined;
      windows.push({ buffer, scale, firstRow, rows: count });
    }
    return windows;
  }

  #transfer(window: WeightWindow, shape: PaddedRows) {
    const { buffer, rows } = window;
    return { to: buffer, unit: shape.rowBytes, units: rows, after: scaling(window, shape) };
  }
}

/** How the rows of a matrix lie on the device. */
type PaddedRows = Pick<WeightMatrix, "dtype" | "stride" | "rowBytes">;

/**
 * How a tensor's rows will lie.
 *
 * @throws {WeightsError} as {@link WeightLayout.matrix}
 */
export function matrixShape(
  checkpoint: Checkpoint,
  { name, rows, columns, tensorRows = rows }: MatrixPart,
): PaddedRows {
  const { dtype } = checkpoint.expectShape(name, [tensorRows, columns]);
  if (isFloatDtype(dtype)) return paddedRows(dtype, columns);
  throw new WeightsError(
    `Cannot use tensor "${name}": its dtype is ${dtype} (supported: F32, F16, BF16)`,
  );
}

/** Rows of so many bytes that one binding holds. */
export function windowRows({ limits }: Gpu, name: string, rowBytes: number): number {
  const { maxBufferSize, maxStorageBufferBindingSize } = limits;
  const rows = Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / rowBytes);
  if (rows > 0) return rows;
  throw new WeightsError(
    `Cannot use tensor "${name}": one row of it is over the adapter's binding size`,
  );
}

/** What measures a window's scales once it is brought. */
export function scaling(
  { buffer, scale, rows }: WeightWindow,
  { dtype, rowBytes }: PaddedRows,
): Transfer["after"] {
  if (!scale) return undefined;
  return (recorder) =>
    rowScale(recorder, { x: buffer, dtype, out: scale, rows, words: rowBytes / 4 });
}

function paddedRows(dtype: FloatDtype, columns: number): PaddedRows {
  const stride = Math.ceil(columns / ROW_MULTIPLE) * ROW_MULTIPLE;
  return { dtype: WEIGHT_DTYPES[dtype], stride, rowBytes: stride * DTYPE_BYTES[dtype] };
}

/** Reads rows of a tensor from `skipped` on, and pads them. */
export function rowReader(
  checkpoint: Checkpoint,
  { name, columns }: MatrixPart,
  { stride, rowBytes }: PaddedRows,
  skipped: number,
): Transfer["fill"] {
  if (columns === stride) {
    return (target, first, count) => checkpoint.readRowsInto(name, skipped + first, count, target);
  }
  const length = columns * rowBytes / stride;
  return async (target, first, count) => {
    const rows = await checkpoint.readRows(name, skipped + first, count);
    target.fill(0);
    for (let row = 0; row < count; row++) {
      target.set(rows.subarray(row * length, (row + 1) * length), row * rowBytes);
    }
  };
}

/** Makes buffers that are noted in `owned`. */
export function makeOwned(gpu: Gpu, owned: GPUBuffer[]): MakeBuffer {
  return (label, bytes) => {
    const buffer = gpu.buffers.create(label, bytes);
    owned.push(buffer);
    return buffer;
  };
}

/**
 * Brings one matrix to the device; throws as {@link WeightLayout.matrix}.
 *
 * @param owned gets every buffer that is made, also those of a matrix that fails half-way
 */
export async function uploadMatrix(
  gpu: Gpu,
  checkpoint: Checkpoint,
  part: MatrixPart,
  owned: GPUBuffer[] = [],
): Promise<WeightMatrix> {
  const layout = new WeightLayout(gpu, checkpoint, makeOwned(gpu, owned));
  const matrix = layout.matrix(part);
  await runLayout(gpu, layout);
  return matrix;
}

/** Brings all that a layout notes. */
export async function runLayout(
  gpu: Gpu,
  { transfers }: WeightLayout,
  options?: Parameters<typeof runTransfers>[2],
): Promise<void> {
  const staging = stagingFor(gpu, transfers);
  try {
    await runTransfers(staging, transfers, options);
  } finally {
    staging.destroy();
  }
}
