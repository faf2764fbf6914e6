/** How ops lay their work out over workgroups, and the orders of sums that all kernels share. */

import { UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { foldGrid, type Grid } from "../gpu/recorder.ts";
import { DEFAULTS } from "../gpu/tuning.ts";

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

/** Rows and columns of outputs that a workgroup of a product computes. */
export interface Tile {
  rows: number;
  columns: number;
}

/** Tiles of a product of so many rows and columns. */
export function tileCount(rows: number, columns: number, tile: Tile): number {
  return Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
}

/** What of a device the grids depend on. */
type Device = Pick<Gpu, "profile" | "tuning">;

/** The most partial sums, one for each row and chunk, that a workgroup may share: 8 of the 16 KiB that every adapter has. */
export const MAX_PARTIALS = 2048;

/**
 * Threads a row, rows a workgroup and partial sums for kernels that reduce over a row of `width` elements.
 *
 * The partial sums are hardly more than needed, because a workgroup begins with setting them to zero: with narrow rows
 * that would take longer than the rows do. They are a power of 2, so that similar widths share one pipeline.
 *
 * @throws {UsageError} when the partial sums of one row do not fit.
 */
export function rowBlock(
  gpu: Device,
  width: number,
): { LANES: number; ROWS: number; PARTIALS: number } {
  if (width > MAX_PARTIALS * CHUNK) {
    throw new UsageError(
      `Cannot reduce rows of ${width} values: the kernels take at most ${MAX_PARTIALS * CHUNK}`,
    );
  }
  const chunks = Math.ceil(width / CHUNK);
  const choice = gpu.tuning.choice("row_block", width) ?? DEFAULTS[gpu.profile].row_block;
  const [lanes, most] = choice.split("x").map(Number);
  const rows = 2 ** Math.floor(Math.log2(Math.min(most, MAX_PARTIALS / chunks)));
  const partials = 2 ** Math.ceil(Math.log2(rows * chunks));
  return { LANES: lanes, ROWS: rows, PARTIALS: partials };
}

/**
 * Turns of loops, nested ones counted each, that a thread may take on a software adapter: llvmpipe ends a thread's loops after
 * 65,535 turns in all, without an error. Some are left for what the estimates do not count.
 */
export const MOST_TURNS = 60_000;

/**
 * Threads a row for kernels that give a whole workgroup to one long row.
 *
 * @param turns how often the kernel goes to an element of the row, all of them together
 */
export function longRowLanes(gpu: Device, turns: number): { LANES: number } {
  const software = gpu.profile === "software";
  let LANES = Number(gpu.tuning.choice("long_row", turns) ?? DEFAULTS[gpu.profile].long_row);
  while (software && LANES < 256 && turns / LANES > MOST_TURNS / 2) LANES *= 2;
  return { LANES };
}
