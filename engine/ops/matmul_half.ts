/** Matrix products of fast mode: both sides rounded to f16, each row scaled so that none overflows; the sums are f32. */

import matmulHalfCode from "../../shaders/matmul_half.wgsl" with { type: "text" };
import rowScaleCode from "../../shaders/row_scale.wgsl" with { type: "text" };
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { u32 } from "../gpu/uniforms.ts";
import { rowBlock } from "./grid.ts";
import type { MatmulArgs } from "./matmul.ts";
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
export function hasScales({ weight }: MatmulArgs): boolean {
  return weight.windows.every(({ scale }) => scale !== undefined);
}

/** As `matmul`, of the rounded sides. A row's product is the same bits in any batch: the shapes of tiles change nothing. */
export function halfMatmul(recorder: Recorder, args: MatmulArgs): void {
  const { x, weight, y, rows } = args;
  const { gpu } = recorder;
  const scale = gpu.tensor([rows]);
  rowScale(recorder, { x, dtype: 0, out: scale.buffer, rows, words: weight.columns });
  const [TR, TC] = threads(rows, gpu.profile === "discrete" || gpu.profile === "apple");
  const constants = { WEIGHT_DTYPE: weight.dtype, TR, TC };
  const kernel = gpu.kernels.get("matmul_half", matmulHalfCode, constants);
  const tiles = (length: number, side: number) => Math.ceil(length / (4 * side));
  for (const window of weight.windows) {
    const buffers = [x, window.buffer, y, scale.buffer, window.scale!];
    const grid = foldGrid(tiles(rows, TR) * tiles(window.rows, TC));
    recorder.dispatch(kernel, buffers, windowParams(args, window), grid);
  }
  scale.release();
}

/** Threads along the rows and the columns of a tile; a thread has 4 × 4 outputs, so a single row wastes three quarters. */
function threads(rows: number, wide: boolean): [number, number] {
  if (rows <= 4) return [1, 32];
  return wide && rows > 32 ? [16, 16] : [8, 8];
}
