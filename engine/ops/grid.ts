/** How ops lay their work out over workgroups, and the orders of sums that all kernels share. */

import type { Gpu } from "../gpu/gpu.ts";
import { foldGrid, type Grid } from "../gpu/recorder.ts";

/**
 * Elements in one chunk of a sum over features: each chunk is summed in order with fma, then the chunks in order.
 * The shaders repeat this constant; `grid_test.ts` holds them to it.
 */
export const CHUNK = 64;

/** Keys in one chunk of the online softmax. */
export const KEY_CHUNK = 64;

/** A grid for one thread an element, in workgroups of 64. */
export function elementGrid(elements: number): Grid {
  return foldGrid(Math.ceil(elements / 64));
}

/** Threads a row and rows a workgroup for kernels that reduce over a row of `width` elements. */
export function rowBlock(gpu: Gpu, width: number): { LANES: number; ROWS: number } {
  const most = Math.floor(2048 / Math.ceil(width / CHUNK)); // shared partial sums, see rmsnorm.wgsl
  const rows = Math.max(1, Math.min(8, most));
  return { LANES: gpu.profile === "software" ? 1 : 32, ROWS: 2 ** Math.floor(Math.log2(rows)) };
}

/** Threads a row for kernels that give a whole workgroup to one long row. */
export function longRowLanes(gpu: Gpu): { LANES: number } {
  return { LANES: gpu.profile === "software" ? 8 : 256 };
}
