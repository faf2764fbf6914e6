/** What the kernels of matrix products on storage buffers are told. */

import { f32, type Params, u32 } from "../gpu/uniforms.ts";
import type { WeightWindow } from "../weights/matrix.ts";
import type { MatmulArgs } from "./matmul.ts";

/** `Params` of matmul.wgsl, and of all kernels with the same, for one window of the weights. */
export function windowParams(
  { rows, weight, columns, addScaled }: MatmulArgs,
  window: WeightWindow,
): Params {
  const { stride, first } = columns ?? { stride: weight.rows, first: 0 };
  return [
    u32(rows),
    u32(window.rows),
    u32(weight.columns),
    u32(weight.stride),
    u32(stride),
    u32(first + window.firstRow),
    u32(addScaled === undefined ? 0 : 1),
    f32(addScaled ?? 1),
  ];
}
