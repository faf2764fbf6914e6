/** Compensated sums over documents. */

import accumulateCode from "../../shaders/accumulate.wgsl" with { type: "text" };
import type { Recorder } from "../gpu/recorder.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import { elementGrid } from "./grid.ts";

/** Adds `x` of each document to `state`: `x` `[documents · positions, width]`, `state` `[positions, width, 2]`. */
export function accumulate(
  recorder: Recorder,
  args: {
    x: DeviceTensor;
    state: DeviceTensor;
    documents: number;
    positions: number;
    width: number;
  },
): void {
  const { x, state, documents, positions, width } = args;
  const kernel = recorder.gpu.kernels.get("accumulate", accumulateCode);
  const params = [u32(documents), u32(positions), u32(width), f32(1)];
  recorder.dispatch(kernel, [x.buffer, state.buffer], params, elementGrid(positions * width));
}
