/** Products of fast mode by the matrix units of a GPU. */

import matmulMatrixCode from "../../shaders/matmul_matrix.wgsl" with { type: "text" };
import type { Gpu } from "../gpu/gpu.ts";
import type { MatrixUnit } from "../gpu/matrix_unit.ts";
import type { DeviceProfile } from "../gpu/profile.ts";
import { type Tile, tileCount } from "./grid.ts";
import type { MatmulArgs } from "./matmul.ts";
import type { HalfKernel } from "./matmul_half.ts";

/** Matrices of a subgroup, and subgroups of a workgroup, down the rows and across the columns; `k`s of a tile. */
export interface Blocks {
  HIGH: number;
  WIDE: number;
  DOWN: number;
  ACROSS: number;
  TILE_K: number;
}

/**
 * - `few`: for no more rows than one matrix has, where all wait for the weights: many workgroups, and long stretches at once
 * - `small`: three matrices are loaded for two products
 * - `large`: six for eight, where that leaves every core some
 */
export const BLOCKS = {
  few: { HIGH: 1, WIDE: 1, DOWN: 1, ACROSS: 2, TILE_K: 128 },
  small: { HIGH: 2, WIDE: 1, DOWN: 2, ACROSS: 4, TILE_K: 32 },
  large: { HIGH: 4, WIDE: 2, DOWN: 2, ACROSS: 4, TILE_K: 32 },
} as const satisfies Record<string, Blocks>;

/** Large tiles from which on every core of an adapter has some. */
const LEAST_TILES: Record<DeviceProfile, number> = {
  software: 4,
  integrated: 16,
  apple: 64,
  discrete: 256,
};

/** The outputs of a workgroup. */
function tileOf({ DOWN, HIGH, ACROSS, WIDE }: Blocks, { m, n }: MatrixUnit): Tile {
  return { rows: DOWN * HIGH * m, columns: ACROSS * WIDE * n };
}

/** The blocks for so many rows. */
export function blocksFor(gpu: Gpu, unit: MatrixUnit, { rows, weight }: MatmulArgs): Blocks {
  if (rows <= unit.m) return BLOCKS.few;
  const tiles = tileCount(rows, weight.rows, tileOf(BLOCKS.large, unit));
  return tiles < LEAST_TILES[gpu.profile] ? BLOCKS.small : BLOCKS.large;
}

/** matmul_matrix.wgsl, for weights of a multiple of 8 columns. */
export function matrixKernel(
  gpu: Gpu,
  unit: MatrixUnit,
  WEIGHT_DTYPE: number,
  blocks: Blocks,
): HalfKernel {
  const { m: M, n: N, k: K, subgroup: SUBGROUP } = unit;
  const constants = { WEIGHT_DTYPE, M, N, K, SUBGROUP, ...blocks };
  const kernel = gpu.kernels.get("matmul_matrix", matmulMatrixCode, constants);
  return { kernel, tile: tileOf(blocks, unit) };
}
