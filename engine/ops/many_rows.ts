/** Products of many rows with packed weights, and what is done with them after in the same dispatch; for software adapters. */

import manyRowsCode from "../../shaders/many_rows.wgsl" with { type: "text" };
import manyRowsNormCode from "../../shaders/many_rows_norm.wgsl" with { type: "text" };
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import { BLOCK, type PackedMatrix } from "../weights/packed.ts";
import { bytesOf, isTexture } from "../gpu/texels.ts";
import { type Form, FORMS, isGated } from "./few_rows.ts";
import { CHUNK, MOST_TURNS } from "./grid.ts";
import { narrowRows } from "./narrow_rows.ts";
import { type Columns, normToTexels } from "./rows.ts";

/** What an adapter adds to a product: `scale · B(A x)`. */
export interface Share {
  /** The factors A of all products of one input, the same for all of them. */
  lows: PackedMatrix;
  /** The row from which on `A` lies there; of gates and what they let pass there are two. */
  firsts: readonly number[];
  /** `B` `[rows of the product, rank]`. */
  b: PackedMatrix;
  scale: number;
}

/** A product, of all that is packed or of some rows of it. */
export interface PackedProduct {
  /**
   * `[rows, count]` f32, or half as wide where an activation's gates and what they let pass are stacked. What is not added to
   * something may go to a texture, in rows of 1,024 texels.
   */
  out: GPUBuffer | GPUTexture;
  /** Where `out` is wider than the product; both numbers are multiples of 4. */
  columns?: Columns;
  /** Gets what is added to something too, as texels; its norm instead where {@link ManyRowsArgs.after} is given. */
  also?: GPUTexture;
  /** The first of the packed rows, a multiple of {@link BLOCK} (default: 0). */
  first?: number;
  /** How many of them, a multiple of 4 (default: all). */
  count?: number;
  share?: Share;
}

/** What {@link manyRows} reads and writes. */
export interface ManyRowsArgs {
  /** `[rows, columns of W]` f32; in a texture in rows of 1,024 texels. */
  x: GPUBuffer | GPUTexture;
  /** Of `x`, before the products; where that is a buffer, its rows may be in a texture too, from which they are read the faster. */
  norm?: { weight: GPUBuffer; eps: number; texels?: GPUTexture };
  weight: PackedMatrix;
  rows: number;
  form: Form;
  products: readonly PackedProduct[];
  /** A norm of what one whole product is added to; only where {@link normsAfter} says so. */
  after?: { weight: GPUBuffer; eps: number };
}

/** Rows that a workgroup takes. */
const GROUP_ROWS = 16;

/**
 * Whether the norm of what a product was added to is best worked out in the same dispatch: a workgroup has whole rows then, so
 * that there must be enough of them for every core.
 *
 * @param rank of what an adapter adds, 0 where there is none
 */
export function normsAfter(
  cores: number,
  rows: number,
  { rows: n, columns: k }: Pick<WeightMatrix, "rows" | "columns">,
  rank: number,
): boolean {
  if (n % 4 !== 0 || Math.ceil(rows / GROUP_ROWS) < 2 * cores) return false;
  const turns = (length: number) => length / 8 + Math.ceil(length / CHUNK);
  const groups = Math.ceil(n / (blocksOf(n) * BLOCK));
  const normed = n / 4 + Math.ceil(n / CHUNK) + Math.ceil(n / 64) * (1 + GROUP_ROWS);
  return groups * (1 + turns(k) + turns(rank)) + normed <= MOST_TURNS;
}

/** The factors A of the products' adapters, where there are some. */
function lowsOf(products: readonly PackedProduct[]): PackedMatrix | undefined {
  return products.find(({ share }) => share)?.share?.lows;
}

/** Rows of a part: the outputs of each begin where a binding may. */
const PART_ROWS = 64;

/** Bytes of a texture with which {@link manyRows} never lacks memory for products without shares, of any number of rows. */
export function leastTexels({ columns }: Pick<WeightMatrix, "columns">): number {
  return 4 * columns * PART_ROWS;
}

/**
 * `rmsnorm`, `matmul`, `addBias`, an adapter's share, and `addInPlace` or `glu`, as far as they are asked for, of several outputs of
 * one input: the same bits.
 *
 * @returns whether it was done: the outputs are whole vec4s, and there was memory, which is sure where `x` is in a texture and
 * nothing has a share
 */
export function manyRows(recorder: Recorder, args: ManyRowsArgs): boolean {
  const { weight, rows, products } = args;
  if (products.some(({ count = weight.rows }) => count % 4 !== 0)) return false;
  const { texels } = recorder.gpu;
  const placed = placeRows(recorder, args);
  if (!placed) return false;
  const { x, most } = placed;
  const lows = lowsOf(products);
  const low = lows && texels.acquire(4 * Math.min(most, rows) * lows.rows);
  const done = !lows || low !== undefined;
  for (let row = 0; done && row < rows; row += most) {
    const part = { row, rows: Math.min(most, rows - row), whole: rows <= most };
    productsOf(recorder, args, part, { x, low });
  }
  for (const texture of x === args.x ? [low] : [x, low]) if (texture) texels.release(texture);
  return done;
}

/** The texture of rows, or one for them, and how many at once go through it; `undefined` where there is no memory. */
function placeRows(
  { gpu: { texels } }: Recorder,
  { x, weight, rows, products }: ManyRowsArgs,
): { x: GPUTexture; most: number } | undefined {
  if (isTexture(x)) return { x, most: rows };
  const rowBytes = 4 * weight.columns;
  const lowBytes = 4 * (lowsOf(products)?.rows ?? 0);
  const per = Math.floor(texels.largest / Math.max(rowBytes, lowBytes) / PART_ROWS) * PART_ROWS;
  if (per === 0) return undefined;
  // A texture that is there already may have room for a part of the rows only.
  const own = texels.acquire(Math.min(rows, per) * rowBytes, Math.min(rows, PART_ROWS) * rowBytes);
  if (!own) return undefined;
  const held = Math.min(per, Math.floor(bytesOf(own) / rowBytes));
  return { x: own, most: rows <= held ? rows : Math.floor(held / PART_ROWS) * PART_ROWS };
}

/** Rows of a buffer of f32. */
function partOf(buffer: GPUBuffer, row: number, rows: number, width: number): GPUBufferBinding {
  return { buffer, offset: 4 * row * width, size: 4 * rows * width };
}

/**
 * How many blocks of columns a group takes, of products with so many columns each: more of them load less for each product, but may leave
 * columns without use.
 */
function blocksOf(...counts: number[]): number {
  const cost = (width: number) => groupCosts(counts, width);
  return WIDTHS.reduce((best, width) => cost(width) < cost(best) ? width : best);
}
const WIDTHS = [4, 3, 2, 1];

/** What products cost in groups of `width` blocks, in what the loads of a block's columns do. */
function groupCosts(counts: readonly number[], width: number): number {
  let sum = 0;
  for (const count of counts) {
    sum += Math.ceil(Math.ceil(count / BLOCK) / width) * (ROW_LOADS + width);
  }
  return sum;
}
/** What the loads of a group's rows cost; it was measured. */
const ROW_LOADS = 3.3;

/** The same for each of several products: all alike where that costs little, as every width is a kernel to compile. */
function widthsOf(form: Form, counts: readonly number[]): number[] {
  if (isGated(form)) return counts.map(() => WIDTHS[0]);
  const each = counts.map((count) => blocksOf(count));
  const apart = counts.reduce((sum, count, i) => sum + groupCosts([count], each[i]), 0);
  const alike = blocksOf(...counts);
  return groupCosts(counts, alike) <= 1.1 * apart ? each.map(() => alike) : each;
}

/** From so many rows on, few columns are quicker with lanes down the rows. */
const NARROW = 33;

/** Some of the rows, from `row` on; or all of them. */
interface Part {
  row: number;
  rows: number;
  whole: boolean;
}

/** Textures of a part: its rows, and what the factors A make of them. */
interface Places {
  x: GPUTexture;
  low?: GPUTexture;
}

/** See {@link blocksOf}. */
interface Blocks {
  BLOCKS: number;
}

/** The products of some rows, from where `row` is the first. */
function productsOf(
  recorder: Recorder,
  { x, norm, weight, form, products, after }: ManyRowsArgs,
  part: Part,
  at: Places,
): void {
  const { row, rows, whole } = part;
  const { columns: width } = weight;
  if (norm) {
    if (isTexture(x)) throw new Error("A norm reads from a buffer");
    const from = whole ? norm.texels ?? x : partOf(x, row, rows, width);
    normToTexels(recorder, { ...norm, x: from, out: at.x, rows, width });
  } else if (!isTexture(x)) {
    const [offset, bytes] = [row, rows].map((n) => 4 * n * width);
    recorder.copyToTexels({ buffer: x, offset, bytes, texture: at.x });
  }
  const lows = lowsOf(products);
  if (lows) {
    const out = at.low!;
    if (rows >= NARROW) narrowRows(recorder, { x: at.x, weight: lows, rows, out });
    else {
      const own = { row: 0, rows, whole: true };
      const BLOCKS = blocksOf(lows.rows);
      dispatchProduct(recorder, { weight: lows, form: "store", BLOCKS }, { out }, own, { x: at.x });
    }
  }
  const widths = widthsOf(form, products.map(({ count = weight.rows }) => count));
  for (const [i, product] of products.entries()) {
    const BLOCKS = widths[i];
    if (after) dispatchNormed(recorder, { weight, after, BLOCKS }, product, part, at);
    else dispatchProduct(recorder, { weight, form, BLOCKS }, product, part, at);
  }
}

/** A product that is added to `out`, whose norm then goes to `also`. */
function dispatchNormed(
  recorder: Recorder,
  { weight, after, BLOCKS }: Required<Pick<ManyRowsArgs, "weight" | "after">> & Blocks,
  { out, also, share }: PackedProduct,
  { row, rows, whole }: Part,
  { x, low = x }: Places,
): void {
  const { rows: n, columns: k, dtype } = weight;
  if (isTexture(out) || !also) {
    throw new Error("A norm after a product goes from a buffer to a texture");
  }
  const kernel = recorder.gpu.kernels.get("many_rows_norm", manyRowsNormCode, {
    WEIGHT_DTYPE: dtype,
    BLOCKS,
    LORA: share ? 1 : 0,
    B_DTYPE: share?.b.dtype ?? 0,
  });
  const { b, lows, firsts: [lowFirst] = [0], scale = 0 } = share ?? {};
  const sizes = [rows, n, k, b?.columns ?? 0, lowFirst, lows?.rows ?? 0].map(u32);
  const params = [...sizes, f32(scale), u32(row), f32(after.eps)];
  const sum = whole ? out : partOf(out, row, rows, n);
  // What is not read must be bound all the same.
  const buffers = [x, after.weight, weight.texture, low, (b ?? weight).texture, sum, also];
  recorder.dispatch(kernel, buffers, params, foldGrid(Math.ceil(rows / GROUP_ROWS)));
}

function dispatchProduct(
  recorder: Recorder,
  { weight, form, BLOCKS }: Pick<ManyRowsArgs, "weight" | "form"> & Blocks,
  { out, columns, also, first = 0, count = weight.rows, share }: PackedProduct,
  { row, rows, whole }: Part,
  { x, low = x }: Places,
): void {
  const { kernels, unused } = recorder.gpu;
  const gated = isGated(form);
  const texels = isTexture(out) ? out : also;
  const { stride, first: column } = columns ?? { stride: gated ? count / 2 : count, first: 0 };
  const kernel = kernels.get("many_rows", manyRowsCode, {
    WEIGHT_DTYPE: weight.dtype,
    BLOCKS,
    BIAS: weight.bias && form === "store" ? 1 : 0,
    FORM: FORMS[form],
    LORA: share ? 1 : 0,
    B_DTYPE: share?.b.dtype ?? 0,
    TEXELS: texels ? 1 : 0,
  });
  const [lowFirst, lowSecond] = share?.firsts ?? [0];
  const params = [
    ...[rows, count, weight.columns, first / BLOCK].map(u32),
    // The distance wraps around where the second lies before the first.
    ...[share?.b.columns ?? 0, lowFirst, ((lowSecond ?? lowFirst) - lowFirst) >>> 0].map(u32),
    u32(share?.lows.rows ?? 0),
    f32(share?.scale ?? 0),
    ...[row, stride, column].map(u32),
  ];
  const { b } = share ?? { b: weight };
  const buffer = isTexture(out) ? unused.write : whole ? out : partOf(out, row, rows, stride);
  // What is not read must be bound all the same.
  const { bias = unused.read } = weight;
  const buffers = [x, bias, weight.texture, low, b.texture, buffer, texels ?? unused.texels];
  const groups = Math.ceil(rows / GROUP_ROWS) * Math.ceil(count / (BLOCKS * BLOCK));
  recorder.dispatch(kernel, buffers, params, foldGrid(groups));
}
