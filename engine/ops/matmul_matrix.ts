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

/** matmul_matrix.wgsl, with the blocks for so many rows. The columns of the weights are a multiple of 8. */
export function matrixKernel(
  gpu: Gpu,
  { m: M, n: N, k: K, subgroup: SUBGROUP }: MatrixUnit,
  { rows, weight }: MatmulArgs,
): HalfKernel {
  const tileOf = ({ DOWN, HIGH, ACROSS, WIDE }: Blocks): Tile => ({
    rows: DOWN * HIGH * M,
    columns: ACROSS * WIDE * N,
  });
  const tiles = tileCount(rows, weight.rows, tileOf(BLOCKS.large));
  const blocks = BLOCKS[rows <= M ? "few" : tiles < LEAST_TILES[gpu.profile] ? "small" : "large"];
  const constants = { WEIGHT_DTYPE: weight.dtype, M, N, K, SUBGROUP, ...blocks };
  const kernel = gpu.kernels.get("matmul_matrix", matmulMatrixCode, constants);
  return { kernel, tile: tileOf(blocks) };
}
