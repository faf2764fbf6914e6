/** Products of many rows with packed weights, and what is done with them after in the same dispatch; for software adapters. */

import manyRowsCode from "../../shaders/many_rows.wgsl" with { type: "text" };
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { u32 } from "../gpu/uniforms.ts";
import { BLOCK, type PackedMatrix } from "../weights/packed.ts";
import { type Form, FORMS } from "./few_rows.ts";

/** A product, of all that is packed or of some rows of it. */
export interface PackedProduct {
  /** `[rows, count]` f32, or half as wide where an activation's gates and what they let pass are stacked. */
  out: GPUBuffer;
  /** The first of the packed rows, a multiple of {@link BLOCK} (default: 0). */
  first?: number;
  /** How many of them (default: all). */
  count?: number;
}

/** What {@link manyRows} reads and writes. */
export interface ManyRowsArgs {
  /** `[rows, columns of W]` f32. */
  x: GPUBuffer;
  weight: PackedMatrix;
  rows: number;
  form: Form;
  products: readonly PackedProduct[];
}

/** Rows of a part: the outputs of each begin where a binding may. */
const PART_ROWS = 64;

/**
 * `matmul`, `addBias`, and `addInPlace` or `glu`, as far as they are asked for, of several outputs of one input: the same bits.
 *
 * @returns whether there was memory for it; else nothing is done
 */
export function manyRows(recorder: Recorder, args: ManyRowsArgs): boolean {
  const { x, weight, rows, form, products } = args;
  const { texels, kernels } = recorder.gpu;
  const rowBytes = 4 * weight.columns;
  const per = Math.floor(texels.largest / rowBytes / PART_ROWS) * PART_ROWS;
  const texture = per > 0 ? texels.acquire(Math.min(rows, per) * rowBytes) : undefined;
  if (!texture) return false;
  const BIAS = weight.bias && form === "store" ? 1 : 0;
  const gated = FORMS[form] >= 2;
  for (let row = 0; row < rows; row += per) {
    const m = Math.min(per, rows - row);
    recorder.copyToTexels({ buffer: x, offset: row * rowBytes, bytes: m * rowBytes, texture });
    for (const { out, first = 0, count = weight.rows } of products) {
      const wide = gated ? count / 2 : count;
      // Narrow groups load more for each product, but leave fewer columns without use.
      const BLOCKS = gated || count % (4 * BLOCK) === 0 || count > 16 * BLOCK ? 4 : 2;
      const constants = { WEIGHT_DTYPE: weight.dtype, BLOCKS, BIAS, FORM: FORMS[form] };
      const kernel = kernels.get("many_rows", manyRowsCode, constants);
      const part = { buffer: out, offset: 4 * row * wide, size: 4 * m * wide };
      const params = [m, count, weight.columns, first / BLOCK].map(u32);
      const groups = Math.ceil(m / 8) * Math.ceil(count / (BLOCKS * BLOCK));
      // What is not read must be bound all the same.
      const buffers = [texture, weight.bias ?? x, weight.texture, rows > per ? part : out];
      recorder.dispatch(kernel, buffers, params, foldGrid(groups));
    }
  }
  texels.release(texture);
  return true;
}
