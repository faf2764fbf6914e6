/** Products of many rows with few columns at a time: what the factors A of adapters make. For software adapters. */

import narrowRowsCode from "../../shaders/narrow_rows.wgsl" with { type: "text" };
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { u32 } from "../gpu/uniforms.ts";
import { BLOCK, type PackedMatrix } from "../weights/packed.ts";

/** What {@link narrowRows} reads and writes, all in textures: `x` and `out` in rows of 1,024 texels. */
export interface NarrowRowsArgs {
  /** `[rows, columns of W]` f32. */
  x: GPUTexture;
  /** Matrices that each begin a block of their own. */
  weight: PackedMatrix;
  rows: number;
  /** `[rows, rows of W]` f32; what stands beside the matrices' columns stays. */
  out: GPUTexture;
}

/** Columns of a lane, and rows of a workgroup. */
const [COLUMNS, ROWS] = [16, 128];

/** Records the products. */
export function narrowRows(recorder: Recorder, { x, weight, rows, out }: NarrowRowsArgs): void {
  const { groups, used, apart } = groupsOf(weight);
  const kernel = recorder.gpu.kernels.get("narrow_rows", narrowRowsCode, {
    WEIGHT_DTYPE: weight.dtype,
  });
  const params = [rows, weight.columns, weight.rows, groups, used, apart].map(u32);
  const grid = foldGrid(Math.ceil(rows / ROWS) * groups);
  recorder.dispatch(kernel, [x, weight.texture, out], params, grid);
}

/** Groups of columns that hold something: of each matrix the first `used` ones, which begin `apart` groups after the ones before. */
function groupsOf({ parts, rows }: PackedMatrix) {
  const taken = parts.map((part) => Math.ceil(part.rows / COLUMNS));
  const whole = parts.map((part) => Math.ceil(part.rows / BLOCK) * BLOCK / COLUMNS);
  const [apart] = whole;
  if (whole.some((groups) => groups !== apart)) {
    return { groups: Math.ceil(rows / COLUMNS), used: 1, apart: 1 };
  }
  const used = Math.max(...taken);
  return { groups: parts.length * used, used, apart };
}
