/** Products of many rows with packed weights, and what is done with them after in the same dispatch; for software adapters. */

import manyRowsCode from "../../shaders/many_rows.wgsl" with { type: "text" };
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import { BLOCK, type PackedMatrix } from "../weights/packed.ts";
import { bytesOf } from "../gpu/texels.ts";
import { type Form, FORMS } from "./few_rows.ts";
import { texelRows, weightTexels } from "./matmul.ts";

/** What an adapter adds to a product: `scale · B(A x)`. */
export interface Share {
  /** `A` `[rank, columns of W]`; of gates and what they let pass there are two. */
  factors: readonly WeightMatrix[];
  /** `B` `[rows of the product, rank]`. */
  b: PackedMatrix;
  scale: number;
}

/** A product, of all that is packed or of some rows of it. */
export interface PackedProduct {
  /** `[rows, count]` f32, or half as wide where an activation's gates and what they let pass are stacked. */
  out: GPUBuffer;
  /** The first of the packed rows, a multiple of {@link BLOCK} (default: 0). */
  first?: number;
  /** How many of them (default: all). */
  count?: number;
  share?: Share;
}

/** What {@link manyRows} reads and writes. */
export interface ManyRowsArgs {
  /** `[rows, columns of W]` f32. */
  x: GPUBuffer;
  weight: PackedMatrix;
  rows: number;
  form: Form;
  products: readonly PackedProduct[];
  /** Gets what the factors make of `x`, `[rows,` {@link lowWidth}`]` f32, where there are any. */
  low?: GPUBuffer;
}

function factorsOf(products: readonly PackedProduct[]): WeightMatrix[] {
  return products.flatMap(({ share }) => share?.factors ?? []);
}

/** Columns that the factors of all products have together. */
export function lowWidth(products: readonly PackedProduct[]): number {
  return factorsOf(products).reduce((sum, { rows }) => sum + rows, 0);
}

/** Rows of a part: the outputs of each begin where a binding may. */
const PART_ROWS = 64;

/** Bytes of a texture with which {@link manyRows} never lacks memory for products without shares, of any number of rows. */
export function leastTexels({ columns }: Pick<WeightMatrix, "columns">): number {
  return 4 * columns * PART_ROWS;
}

/**
 * `matmul`, `addBias`, an adapter's share, and `addInPlace` or `glu`, as far as they are asked for, of several outputs of one
 * input: the same bits.
 *
 * @returns whether there was memory for it; else nothing is done
 */
export function manyRows(recorder: Recorder, args: ManyRowsArgs): boolean {
  const { weight, rows, products } = args;
  const { texels } = recorder.gpu;
  const rowBytes = 4 * weight.columns;
  const lowBytes = 4 * lowWidth(products);
  const per = Math.floor(texels.largest / Math.max(rowBytes, lowBytes) / PART_ROWS) * PART_ROWS;
  if (per === 0) return false;
  // A texture that is there already may have room for a part of the rows only.
  const x = texels.acquire(Math.min(rows, per) * rowBytes, Math.min(rows, PART_ROWS) * rowBytes);
  if (!x) return false;
  const held = Math.min(per, Math.floor(bytesOf(x) / rowBytes));
  const most = rows <= held ? rows : Math.floor(held / PART_ROWS) * PART_ROWS;
  const room = Math.max(...factorsOf(products).map((one) => weightTexels(recorder.gpu, one)));
  const sizes = args.low ? [most * lowBytes, room] : [];
  const others = sizes.map((bytes) => texels.acquire(bytes));
  const done = others.every((texture) => texture !== undefined);
  if (done) {
    const [low, room] = others;
    for (let row = 0; row < rows; row += most) {
      const part = { row, rows: Math.min(most, rows - row), whole: rows <= most };
      productsOf(recorder, args, part, { x, low, room });
    }
  }
  for (const texture of [x, ...others]) if (texture) texels.release(texture);
  return done;
}

/** The products of some rows, from where `row` is the first. */
function productsOf(
  recorder: Recorder,
  { x, weight, form, products, low }: ManyRowsArgs,
  { row, rows, whole }: { row: number; rows: number; whole: boolean },
  at: { x: GPUTexture; low?: GPUTexture; room?: GPUTexture },
): void {
  const copy = (buffer: GPUBuffer, columns: number, texture: GPUTexture) => {
    const bytes = 4 * columns;
    recorder.copyToTexels({ buffer, offset: row * bytes, bytes: rows * bytes, texture });
  };
  copy(x, weight.columns, at.x);
  const width = lowWidth(products);
  if (low) {
    let first = 0;
    for (const factor of factorsOf(products)) {
      const columns = { stride: width, first };
      const product = { weight: factor, y: low, rows, firstRow: row, columns };
      texelRows(recorder, { ...product, x: at.x, room: at.room! });
      first += factor.rows;
    }
    copy(low, width, at.low!);
  }
  const gated = FORMS[form] >= 2;
  let lowFirst = 0;
  for (const product of products) {
    const { out, first = 0, count = weight.rows, share } = product;
    const wide = gated ? count / 2 : count;
    // Narrow groups load more for each product, but leave fewer columns without use.
    const BLOCKS = gated || count % (4 * BLOCK) === 0 || count > 16 * BLOCK ? 4 : 2;
    const kernel = recorder.gpu.kernels.get("many_rows", manyRowsCode, {
      WEIGHT_DTYPE: weight.dtype,
      BLOCKS,
      BIAS: weight.bias && form === "store" ? 1 : 0,
      FORM: FORMS[form],
      LORA: share ? 1 : 0,
      B_DTYPE: share?.b.dtype ?? 0,
    });
    const part = { buffer: out, offset: 4 * row * wide, size: 4 * rows * wide };
    const rank = share?.b.columns ?? 0;
    const params = [
      ...[rows, count, weight.columns, first / BLOCK, rank, lowFirst, width].map(u32),
      f32(share?.scale ?? 0),
    ];
    const groups = Math.ceil(rows / 8) * Math.ceil(count / (BLOCKS * BLOCK));
    recorder.dispatch(
      kernel,
      [
        at.x,
        // What is not read must be bound all the same.
        weight.bias ?? x,
        weight.texture,
        at.low ?? at.x,
        share?.b.texture ?? weight.texture,
        whole ? out : part,
      ],
      params,
      foldGrid(groups),
    );
    lowFirst += lowWidth([product]);
  }
}
