/** Matrix products with weights as they are stored. */

import matmulCode from "../../shaders/matmul.wgsl" with { type: "text" };
import matmulBlockedCode from "../../shaders/matmul_blocked.wgsl" with { type: "text" };
import matmulSplitCode from "../../shaders/matmul_split.wgsl" with { type: "text" };
import matmulStagedCode from "../../shaders/matmul_staged.wgsl" with { type: "text" };
import matmulTexelCode from "../../shaders/matmul_texel.wgsl" with { type: "text" };
import matmulTiledCode from "../../shaders/matmul_tiled.wgsl" with { type: "text" };
import matvecCode from "../../shaders/matvec.wgsl" with { type: "text" };
import matvecSubgroupCode from "../../shaders/matvec_subgroup.wgsl" with { type: "text" };
import { DeviceError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import type { DeviceProfile } from "../gpu/profile.ts";
import { type Choice, DEFAULTS } from "../gpu/tuning.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import type { WeightMatrix, WeightWindow } from "../weights/matrix.ts";
import { halfMatmul, hasScales } from "./matmul_half.ts";
import { windowParams } from "./matmul_params.ts";
import { CHUNK, type Tile, tileCount } from "./grid.ts";
import type { Columns } from "./rows.ts";

/** `x` `[rows, columns of W]` and `y` `[rows, rows of W]`, f32; buffers of a multiple of 16 bytes. */
export interface MatmulArgs {
  x: GPUBuffer;
  weight: WeightMatrix;
  y: GPUBuffer;
  rows: number;
  /** When given, `y += addScaled · W x` instead of `y = W x`. */
  addScaled?: number;
  /** Where `y` is wider than the product. */
  columns?: Columns;
  /** What {@link rowScales} gave for `x`, where several products have it; else fast mode measures it for this one. */
  scales?: GPUBuffer;
}

/** `y[r] = W x[r]`. Every variant sums in the same order: see matmul.wgsl. In fast mode both sides are rounded to f16 first. */
export function matmul(recorder: Recorder, args: MatmulArgs): void {
  const { gpu } = recorder;
  if (args.weight.windows.length === 0) {
    throw new DeviceError(
      `Cannot multiply by "${args.weight.name}": it is on the device packed only`,
    );
  }
  if (gpu.precision === "fast" && hasScales(args)) return halfMatmul(recorder, args);
  const { rows, weight } = args;
  const size = weight.rows * weight.columns;
  const texels = gpu.profile === "software" && rows >= TEXEL_ROWS && rows * size >= TEXEL_WORK;
  const choice = gpu.tuning.choice("matmul", rows, size) ??
    (texels ? "texel" : onStorage(gpu, rows, weight));
  if (choice !== "texel") return storageMatmul(recorder, args, variant(gpu, args, choice));
  if (fitsTexels(gpu, args) && texelMatmul(recorder, args)) return;
  return storageMatmul(recorder, args, variant(gpu, args, onStorage(gpu, rows, weight)));
}

/** Tiles from which on every core has one at least: large cards have one to two hundred, Apple's GPUs eight to eighty. */
const tilesFor = (profile: DeviceProfile) => profile === "apple" ? 64 : 256;

/** What a thread of matmul_blocked.wgsl has in registers: 128 sums, and what it multiplies and fetches meanwhile. */
const BLOCK_REGISTERS = 208;

/** Inputs of a product from which on each group of threads of matmul_split.wgsl has a chunk. */
const SPLIT_COLUMNS = 4 * CHUNK;

/** The variant without textures, where nothing was tuned. A thread's block of rows costs the same however many of them there are. */
function onStorage(
  { profile, registers }: Gpu,
  rows: number,
  { rows: n, columns: k }: WeightMatrix,
): Exclude<Choice<"matmul">, "texel"> {
  const { matmul } = DEFAULTS[profile];
  if (matmul === "texel") {
    return rows <= 1 ? "rows 1" : rows <= 2 ? "rows 2" : rows <= 4 ? "rows 4" : "rows 8";
  }
  if (rows <= LANE_ROWS) return "lanes";
  if (matmul !== "staged 64") return matmul;
  const occupies = (size: number) => tileCount(rows, n, square(size)) >= tilesFor(profile);
  if (!occupies(64)) return k >= SPLIT_COLUMNS ? "split 32" : rows <= 32 ? "staged 32" : matmul;
  if (registers < BLOCK_REGISTERS) return matmul;
  return occupies(128) ? "block 128" : "block 64";
}

const square = (side: number): Tile => ({ rows: side, columns: side });

/** Rows up to which reading the weights takes longer on a GPU than multiplying by them, one lane a chunk. */
export const LANE_ROWS = 8;

/** Threads of a workgroup of matvec.wgsl and its kin. */
export const THREADS = 128;

/** A kernel and how many workgroups it takes for `n` columns of output. */
interface Variant {
  kernel: Kernel;
  groups: (n: number) => number;
}

function variant(
  gpu: Gpu,
  args: MatmulArgs,
  choice: Exclude<Choice<"matmul">, "texel">,
): Variant {
  const { kernels } = gpu;
  const { weight, rows } = args;
  const [kind, size] = choice.split(" ");
  if (isTiled(kind)) return tiles(gpu, args, kind, Number(size));
  if (kind === "lanes" || kind === "subgroups") return lanes(gpu, args, kind === "subgroups");
  const ROWS = Number(size);
  const ALIGNED = weight.columns % 4 === 0 ? 1 : 0;
  const kernel = kernels.get("matmul", matmulCode, { WEIGHT_DTYPE: weight.dtype, ROWS, ALIGNED });
  return { kernel, groups: (n) => Math.ceil(Math.ceil(rows / ROWS) * Math.ceil(n / 16) / 8) };
}

/** The kernels that go by tiles in workgroup memory, and their threads a side of a tile where they ask for it. */
const TILED = {
  tile: {
    name: "matmul_tiled",
    code: matmulTiledCode,
    shape: (size: number) => ({ SIDE: size / 4 }),
  },
  staged: {
    name: "matmul_staged",
    code: matmulStagedCode,
    shape: (size: number) => ({ SIDE: size / 4 }),
  },
  block: {
    name: "matmul_blocked",
    code: matmulBlockedCode,
    shape: (size: number) => ({ SIDE: size / 8 }),
  },
  split: { name: "matmul_split", code: matmulSplitCode, shape: () => ({}) },
};

function isTiled(kind: string): kind is keyof typeof TILED {
  return Object.hasOwn(TILED, kind);
}

function tiles(gpu: Gpu, args: MatmulArgs, kind: keyof typeof TILED, size: number): Variant {
  const { weight, rows } = args;
  // Rows of whole vec4s can be fetched ahead; matmul_tiled.wgsl takes the others, in tiles of 64 at most.
  if (kind !== "tile" && weight.columns % 8 !== 0) {
    return tiles(gpu, args, "tile", Math.min(size, 64));
  }
  const { name, code, shape } = TILED[kind];
  const kernel = gpu.kernels.get(name, code, { WEIGHT_DTYPE: weight.dtype, ...shape(size) });
  return { kernel, groups: (n) => tileCount(rows, n, square(size)) };
}

/** Rows of a workgroup and lanes of a column, of matvec.wgsl and its kin. */
export function laneShape(rows: number, columns: number): { ROWS: number; LANES: number } {
  const ROWS = rows <= 1 ? 1 : rows <= 4 ? 4 : 8;
  // The factors of adapters have few columns: more lanes would be idle.
  return { ROWS, LANES: columns <= 4 * CHUNK ? 4 : 32 / ROWS };
}

/** Several lanes a column, in one subgroup where that is wanted and can be. */
function lanes(gpu: Gpu, { weight, rows }: MatmulArgs, subgroups: boolean): Variant {
  const { ROWS, LANES: most } = laneShape(rows, weight.columns);
  const together = subgroups && gpu.subgroupSize >= 4;
  const LANES = together ? Math.min(most, gpu.subgroupSize) : most;
  const constants = { WEIGHT_DTYPE: weight.dtype, ROWS, LANES };
  const kernel = together
    ? gpu.kernels.get("matvec_subgroup", matvecSubgroupCode, constants)
    : gpu.kernels.get("matvec", matvecCode, constants);
  return { kernel, groups: (n) => Math.ceil(rows / ROWS) * Math.ceil(n * LANES / THREADS) };
}

function storageMatmul(recorder: Recorder, args: MatmulArgs, { kernel, groups }: Variant): void {
  const { x, weight, y } = args;
  for (const window of weight.windows) {
    const params = windowParams(args, window);
    recorder.dispatch(kernel, [x, window.buffer, y], params, foldGrid(groups(window.rows)));
  }
}

/** Rows, and multiplications, from which on copying both sides to textures costs less than it saves. */
const [TEXEL_ROWS, TEXEL_WORK] = [4, 2 ** 18];

/** Rows and columns of outputs that a thread of matmul_texel.wgsl computes. */
const [BLOCK_ROWS, BLOCK_COLUMNS] = [8, 16];

/** Whether {@link texelMatmul} takes this product: the rows of both sides must be whole texels. */
function fitsTexels({ texels }: Gpu, { weight }: MatmulArgs): boolean {
  return weight.columns % 8 === 0 && 4 * weight.columns <= texels.largest;
}

/** The product through textures, part by part of both sides. Tells whether there was memory for them; else it does nothing. */
function texelMatmul(recorder: Recorder, args: MatmulArgs): boolean {
  const { x, weight, rows } = args;
  const { texels } = recorder.gpu;
  const whole = { buffer: x, firstRow: 0, rows };
  const parts = texelParts(whole, 4 * weight.columns, texels.largest);
  const [left, right] = [
    texels.acquire(Math.max(...parts.map(({ bytes }) => bytes))),
    texels.acquire(weightTexels(recorder.gpu, weight)),
  ];
  if (left && right) {
    for (const part of parts) {
      recorder.copyToTexels({ ...part, texture: left });
      texelRows(recorder, { ...args, ...part, x: left, room: right });
    }
  }
  for (const texture of [left, right]) if (texture) texels.release(texture);
  return left !== undefined && right !== undefined;
}

/** Bytes of a texture through which {@link texelRows} reads a matrix. */
function weightTexels({ texels }: Gpu, { windows, rowBytes }: WeightMatrix): number {
  const parts = windows.flatMap((window) => texelParts(window, rowBytes, texels.largest));
  return Math.max(...parts.map(({ bytes }) => bytes));
}

/** What {@link texelRows} reads and writes. */
interface TexelRows extends Omit<MatmulArgs, "x"> {
  /** The rows, as texels. */
  x: GPUTexture;
  /** Where in `y` the first of them goes. */
  firstRow: number;
  /** What the weights are copied into, of {@link weightTexels} bytes. */
  room: GPUTexture;
}

/** The product of rows that are in a texture. */
function texelRows(
  recorder: Recorder,
  { x, y, weight, room, rows, firstRow, addScaled, columns }: TexelRows,
): void {
  const { stride, first } = columns ?? { stride: weight.rows, first: 0 };
  const { texels, kernels } = recorder.gpu;
  const constants = { WEIGHT_DTYPE: weight.dtype };
  const kernel = kernels.get("matmul_texel", matmulTexelCode, constants);
  for (
    const piece of weight.windows.flatMap((w) => texelParts(w, weight.rowBytes, texels.largest))
  ) {
    recorder.copyToTexels({ ...piece, texture: room });
    const params = [
      u32(rows),
      u32(piece.rows),
      u32(weight.columns),
      u32(stride),
      u32(firstRow),
      u32(first + piece.firstRow),
      u32(addScaled === undefined ? 0 : 1),
      f32(addScaled ?? 1),
    ];
    const threads = Math.ceil(rows / BLOCK_ROWS) * Math.ceil(piece.rows / BLOCK_COLUMNS);
    recorder.dispatch(kernel, [x, room, y], params, foldGrid(Math.ceil(threads / 16)));
  }
}

/** Rows of a matrix that one texture holds. */
interface TexelPart {
  buffer: GPUBuffer;
  offset: number;
  bytes: number;
  /** Of the whole matrix. */
  firstRow: number;
  rows: number;
}

/** Cuts rows of so many bytes into parts of at most `largest` bytes. */
function texelParts(
  { buffer, firstRow, rows }: WeightWindow,
  rowBytes: number,
  largest: number,
): TexelPart[] {
  const per = Math.floor(largest / rowBytes);
  return Array.from({ length: Math.ceil(rows / per) }, (_, i) => {
    const [first, count] = [i * per, Math.min(per, rows - i * per)];
    const bytes = [first, count].map((n) => n * rowBytes);
    return { buffer, offset: bytes[0], bytes: bytes[1], firstRow: firstRow + first, rows: count };
  });
}
