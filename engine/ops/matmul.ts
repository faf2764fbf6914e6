/** Matrix products with weights as they are stored. */

import matmulCode from "../../shaders/matmul.wgsl" with { type: "text" };
import type { Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import { elementGrid } from "./grid.ts";

/** `y = W x`, or `y += addScaled · W x`. */
export function matmul(
  recorder: Recorder,
  args: { x: GPUBuffer; weight: WeightMatrix; y: GPUBuffer; rows: number; addScaled?: number },
): void {
  const { x, weight, y, rows, addScaled } = args;
  const kernel = recorder.gpu.kernels.get("matmul", matmulCode, { WEIGHT_DTYPE: weight.dtype });
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
    recorder.dispatch(kernel, [x, window.buffer, y], params, elementGrid(rows * window.rows));
  }
}
