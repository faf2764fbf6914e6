/** Matrix products of fast mode: both sides rounded to f16, each row scaled so that none overflows; the sums are f32. */

import matmulHalfCode from "../../shaders/matmul_half.wgsl" with { type: "text" };
import rowScaleCode from "../../shaders/row_scale.wgsl" with { type: "text" };
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import { u32 } from "../gpu/uniforms.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import { rowBlock, type Tile, tileCount } from "./grid.ts";
import type { MatmulArgs } from "./matmul.ts";
import { blocksFor, matrixKernel } from "./matmul_matrix.ts";
import { windowParams } from "./matmul_params.ts";

/**
 * `out[r]` = the power of two that brings row r of `x` into f16's upper range: `x` `[rows, ·]` in rows of `words` u32, `out`
 * `[rows]` f32.
 *
 * @param dtype a value of `WEIGHT_DTYPES`
 */
export function rowScale(
  recorder: Recorder,
  args: { x: GPUBuffer; dtype: number; out: GPUBuffer; rows: number; words: number },
): void {
  const { x, dtype, out, rows, words } = args;
  const { LANES, ROWS } = rowBlock(recorder.gpu, words);
  const constants = { WEIGHT_DTYPE: dtype, LANES, ROWS };
  const kernel = recorder.gpu.kernels.get("row_scale", rowScaleCode, constants);
  recorder.dispatch(kernel, [x, out], [u32(rows), u32(words)], foldGrid(Math.ceil(rows / ROWS)));
}

/** Whether the scales of all of a matrix's rows are there. */
export function hasScales({ weight }: Pick<MatmulArgs, "weight">): boolean {
  return weight.windows.every(({ scale }) => scale !== undefined);
}

/** A kernel of fast mode, and the outputs of one of its workgroups. */
export interface HalfKernel {
  kernel: Kernel;
  tile: Tile;
}

/**
 * As `matmul`, of the rounded sides. A row's product is the same bits in any batch: it depends on the matrix alone whether it goes through
 * a matrix unit, and the shapes of tiles change nothing.
 */
export function halfMatmul(recorder: Recorder, args: MatmulArgs): void {
  const { gpu, gpu: { matrices } } = recorder;
  if (!matrices || args.weight.columns % 8 !== 0) return tiledHalfMatmul(recorder, args);
  const blocks = blocksFor(gpu, matrices, args);
  halfProduct(recorder, args, matrixKernel(gpu, matrices, args.weight.dtype, blocks));
}

/** The same without a matrix unit. */
export function tiledHalfMatmul(recorder: Recorder, args: MatmulArgs): void {
  halfProduct(recorder, args, tileKernel(recorder.gpu, args));
}

/** The product by a kernel of fast mode. */
export function halfProduct(
  recorder: Recorder,
  args: MatmulArgs,
  { kernel, tile }: HalfKernel,
): void {
  const { x, weight, y, rows } = args;
  const own = args.scales ? undefined : measured(recorder, x, rows, weight.columns);
  for (const window of weight.windows) {
    const buffers = [x, window.buffer, y, args.scales ?? own!.buffer, window.scale!];
    const grid = foldGrid(tileCount(rows, window.rows, tile));
    recorder.dispatch(kernel, buffers, windowParams(args, window), grid);
  }
  own?.release();
}

/** The scales `[rows]` of `x` for its products with these, where those are fast mode's; to be released when they are recorded. */
export function rowScales(
  recorder: Recorder,
  x: GPUBuffer,
  rows: number,
  weights: readonly WeightMatrix[],
): DeviceTensor | undefined {
  const fast = recorder.gpu.precision === "fast" && weights.some((weight) => hasScales({ weight }));
  return fast ? measured(recorder, x, rows, weights[0].columns) : undefined;
}

function measured(recorder: Recorder, x: GPUBuffer, rows: number, words: number): DeviceTensor {
  const scales = recorder.gpu.tensor([rows]);
  rowScale(recorder, { x, dtype: 0, out: scales.buffer, rows, words });
  return scales;
}

/** A thread has 4 × 4 outputs, so a single row wastes three quarters. */
function tileKernel(gpu: Gpu, { rows, weight }: MatmulArgs): HalfKernel {
  const wide = rows > 32 && (gpu.profile === "discrete" || gpu.profile === "apple");
  const [TR, TC] = rows <= 4 ? [1, 32] : wide ? [16, 16] : [8, 8];
  const constants = { WEIGHT_DTYPE: weight.dtype, TR, TC };
  const kernel = gpu.kernels.get("matmul_half", matmulHalfCode, constants);
  return { kernel, tile: { rows: 4 * TR, columns: 4 * TC } };
}
