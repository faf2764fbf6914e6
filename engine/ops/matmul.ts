/** Matrix products with weights as they are stored. */

import matmulCode from "../../shaders/matmul.wgsl" with { type: "text" };
import matmulUniformCode from "../../shaders/matmul_uniform.wgsl" with { type: "text" };
import matmulTiledCode from "../../shaders/matmul_tiled.wgsl" with { type: "text" };
import { UNIFORM_BYTES } from "../gpu/buffers.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import type { WeightMatrix } from "../weights/matrix.ts";

/** `x` `[rows, columns of W]` and `y` `[rows, rows of W]`, f32; buffers of a multiple of 16 bytes. */
export interface MatmulArgs {
  x: GPUBuffer;
  weight: WeightMatrix;
  y: GPUBuffer;
  rows: number;
  /** When given, `y += addScaled · W x` instead of `y = W x`. */
  addScaled?: number;
}

/** `y[r] = W x[r]`. Every variant sums in the same order: see matmul.wgsl. */
export function matmul(recorder: Recorder, args: MatmulArgs): void {
  const { gpu } = recorder;
  if (gpu.profile === "gpu") return storageMatmul(recorder, args, tiledVariant(gpu, args));
  if (fitsUniform(args)) return uniformMatmul(recorder, args);
  return storageMatmul(recorder, args, portableVariant(gpu, args));
}

/** A kernel and how many workgroups it takes for `n` columns of output. */
interface Variant {
  kernel: Kernel;
  groups: (n: number) => number;
}

function tiledVariant({ kernels }: Gpu, { weight, rows }: MatmulArgs): Variant {
  const kernel = kernels.get("matmul_tiled", matmulTiledCode, { WEIGHT_DTYPE: weight.dtype });
  return { kernel, groups: (n) => Math.ceil(rows / 64) * Math.ceil(n / 64) };
}

function portableVariant({ kernels }: Gpu, { weight, rows }: MatmulArgs): Variant {
  // A thread's block of rows costs the same however many of them there are.
  const ROWS = [1, 2, 4].find((most) => rows <= most) ?? 8;
  const ALIGNED = weight.columns % 4 === 0 ? 1 : 0;
  const kernel = kernels.get("matmul", matmulCode, { WEIGHT_DTYPE: weight.dtype, ROWS, ALIGNED });
  return { kernel, groups: (n) => Math.ceil(Math.ceil(rows / ROWS) * Math.ceil(n / 16) / 8) };
}

function storageMatmul(recorder: Recorder, args: MatmulArgs, { kernel, groups }: Variant): void {
  const { x, weight, y, rows, addScaled } = args;
  for (const window of weight.windows) {
    const params = [
      u32(rows),
      u32(window.rows),
      u32(weight.columns),
      u32(weight.stride),
      u32(weight.rows),
      u32(window.firstRow),
      u32(addScaled === undefined ? 0 : 1),
      f32(addScaled ?? 1),
    ];
    recorder.dispatch(kernel, [x, window.buffer, y], params, foldGrid(groups(window.rows)));
  }
}

/** Windows begin at multiples of so many rows: that puts them on every adapter's uniform alignment of 256 bytes. */
const UNIFORM_ROWS = 16;

/** Threads of 8 × 16 outputs that a window must keep busy to be worth a dispatch of its own. */
const UNIFORM_THREADS = 16;

/** Whether {@link uniformMatmul} can run this product, and is worth its many dispatches: up to 512 columns. */
function fitsUniform({ x, weight, rows }: MatmulArgs): boolean {
  const threads = (uniformRows(4 * weight.columns) / 8) * (uniformRows(weight.rowBytes) / 16);
  return rows >= UNIFORM_ROWS && weight.columns % 4 === 0 && threads >= UNIFORM_THREADS &&
    [x, ...weight.windows.map(({ buffer }) => buffer)].every(({ size }) => size >= UNIFORM_BYTES);
}

/** Rows of so many bytes that a uniform binding holds, a multiple of {@link UNIFORM_ROWS}. */
function uniformRows(bytes: number): number {
  return Math.floor(UNIFORM_BYTES / bytes / UNIFORM_ROWS) * UNIFORM_ROWS;
}

function uniformMatmul(recorder: Recorder, { x, weight, y, rows, addScaled }: MatmulArgs): void {
  const WEIGHT_DTYPE = weight.dtype;
  const kernel = recorder.gpu.kernels.get("matmul_uniform", matmulUniformCode, { WEIGHT_DTYPE });
  for (const window of weight.windows) {
    for (const w of uniformWindows(window.buffer, window.rows, weight.rowBytes)) {
      for (const part of uniformWindows(x, rows, 4 * weight.columns)) {
        const params = [
          u32(part.rows),
          u32(w.rows),
          u32(weight.columns),
          u32(weight.stride),
          u32(weight.rows),
          u32(part.firstRow),
          u32(window.firstRow + w.firstRow),
          u32(part.skip / 4),
          u32(w.skip * weight.stride / weight.rowBytes),
          u32(addScaled === undefined ? 0 : 1),
          f32(addScaled ?? 1),
        ];
        const threads = Math.ceil(part.rows / 8) * Math.ceil(w.rows / 16);
        recorder.dispatch(
          kernel,
          [part.binding, w.binding, y],
          params,
          foldGrid(Math.ceil(threads / 8)),
        );
      }
    }
  }
}

/** Rows of a matrix as seen through one uniform binding. */
interface UniformWindow {
  binding: GPUBufferBinding;
  firstRow: number;
  rows: number;
  /** Bytes from the binding's beginning to the first row. */
  skip: number;
}

/** Cuts a matrix into windows of whole rows. Near the buffer's end the binding begins before the first row. */
function uniformWindows(buffer: GPUBuffer, rows: number, bytes: number): UniformWindow[] {
  const alignment = 256;
  const per = uniformRows(bytes);
  const last = Math.floor((buffer.size - UNIFORM_BYTES) / alignment) * alignment;
  const windows: UniformWindow[] = [];
  for (let firstRow = 0; firstRow < rows; firstRow += per) {
    const start = firstRow * bytes;
    const offset = Math.min(start, last);
    windows.push({
      binding: { buffer, offset, size: UNIFORM_BYTES },
      firstRow,
      rows: Math.min(per, rows - firstRow),
      skip: start - offset,
    });
  }
  return windows;
}
