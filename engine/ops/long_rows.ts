/** Rows as long as a vocabulary, for kernels that give each row a workgroup: on software adapters they read them as texels. */

import { type Bound, foldGrid, type Recorder } from "../gpu/recorder.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import { type Param, u32 } from "../gpu/uniforms.ts";
import { longRowLanes } from "./grid.ts";

/** A kernel that reads rows as token_loss.wgsl does, and what it takes besides them. */
export interface LongRowsArgs {
  /** `[rows, width]`. */
  x: DeviceTensor;
  /** How often the kernel goes to an element. */
  visits: number;
  /** What is bound after the rows. */
  buffers: readonly Bound[];
  /** After the number of rows, their width, and where they begin among those of the other buffers. */
  params?: readonly Param[];
}

/** Numbers from which on a load from a buffer, for which software adapters take some 8 ns, costs more than a copy to a texture. */
const TEXEL_NUMBERS = 1 << 15;

/** Dispatches a kernel over rows: from the buffer, or where that is quicker through a texture, as many at a time as it holds. */
export function overLongRows(
  recorder: Recorder,
  name: string,
  code: string,
  { x: { buffer, shape: [rows, width] }, visits, buffers, params = [] }: LongRowsArgs,
): void {
  const { profile, kernels, texels, unused } = recorder.gpu;
  const dispatch = (x: [GPUBuffer, GPUTexture], TEXELS: 0 | 1, row: number, count: number) => {
    const lanes = longRowLanes(recorder.gpu, visits * width);
    const sizes = [count, width, row].map(u32);
    const kernel = kernels.get(name, code, { ...lanes, TEXELS });
    recorder.dispatch(kernel, [...x, ...buffers], [...sizes, ...params], foldGrid(count));
  };
  const most = rowsAtOnce(texels.largest, rows, width);
  const wanted = profile === "software" && rows * width >= TEXEL_NUMBERS && most > 0;
  const texture = wanted ? texels.acquire(texelBytes(most, width)) : undefined;
  if (!texture) return dispatch([buffer, unused.texels], 0, 0, rows);
  for (let row = 0; row < rows; row += most) {
    const count = Math.min(most, rows - row);
    const offset = 4 * row * width;
    recorder.copyToTexels({ buffer, offset, bytes: texelBytes(count, width), texture });
    dispatch([unused.read, texture], 1, row, count);
  }
  texels.release(texture);
}

/** How many rows go through a texture of so many bytes: a multiple of 4 unless it is all of them, so that each part begins with a texel. */
function rowsAtOnce(largest: number, rows: number, width: number): number {
  const most = Math.floor(largest / (4 * width));
  return most >= rows ? rows : most - most % 4;
}

/** Bytes of whole texels. */
function texelBytes(rows: number, width: number): number {
  return 16 * Math.ceil(rows * width / 4);
}
