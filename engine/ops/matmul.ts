/** Matrix products with weights as they are stored. */

import matmulCode from "../../shaders/matmul.wgsl" with { type: "text" };
import matmulTiledCode from "../../shaders/matmul_tiled.wgsl" with { type: "text" };
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
  const { x, weight, y, rows, addScaled } = args;
  const { kernel, groups } = variant(recorder.gpu, weight, rows);
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

/** The kernel for this adapter and number of rows, and how many workgroups it takes for `n` columns of output. */
function variant(
  { kernels, profile }: Gpu,
  weight: WeightMatrix,
  m: number,
): { kernel: Kernel; groups: (n: number) => number } {
  const dtype = { WEIGHT_DTYPE: weight.dtype };
  if (profile === "gpu") {
    const kernel = kernels.get("matmul_tiled", matmulTiledCode, dtype);
    return { kernel, groups: (n) => Math.ceil(m / 64) * Math.ceil(n / 64) };
  }
  const ROWS = m >= 8 ? 8 : 1;
  const constants = { ...dtype, ROWS, ALIGNED: weight.columns % 4 === 0 ? 1 : 0 };
  const kernel = kernels.get("matmul", matmulCode, constants);
  return { kernel, groups: (n) => Math.ceil(Math.ceil(m / ROWS) * Math.ceil(n / 16) / 8) };
}
