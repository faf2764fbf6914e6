/** The products of a block's linear layers, each by the quickest way there is for so many rows: with the norm before, adapters' shares, and what is done after. */

import { adaptedProduct } from "./adapted_product.ts";
import { fusedProduct, joinsRows, type Stack } from "./fused_product.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { isTexture } from "./gpu/texels.ts";
import { type Form, type Join, takesFew } from "./ops/few_rows.ts";
import { manyRows, normsAfter, type PackedProduct, type Share } from "./ops/many_rows.ts";
import { matmul } from "./ops/matmul.ts";
import { rowScales } from "./ops/matmul_half.ts";
import { addBias, type Columns } from "./ops/rows.ts";
import type { Scratch } from "./scratch.ts";
import type { Linear } from "./weights/model_weights.ts";
import type { PackedMatrix } from "./weights/packed.ts";

/** Rows `[tokens, width]` f32: in a buffer, or in a texture for manyRows to read. */
export type Rows = GPUBuffer | GPUTexture;

/** Where a product goes: a buffer, or some columns of it. */
interface Out {
  y: GPUBuffer;
  columns?: Columns;
}

/** Rows that lie in a buffer; see BlockProducts.texelsFor. */
export function inBuffer(x: Rows): GPUBuffer {
  if (isTexture(x)) throw new Error("Rows are in a texture where no product reads them from one");
  return x;
}

/** Whether a product is not all that comes of a linear layer, so that nothing can be done with it in the same dispatch. */
export function isAdapted(linears: readonly Linear[]): boolean {
  return linears.some(({ lora }) => lora);
}

/** Records the products of one pass. */
export class BlockProducts {
  /** Whether there are too few rows for manyRows, which takes adapters' shares with the products. */
  readonly few: boolean;
  /** Whether the products of {@link fused} may take what joins the rows first. */
  readonly join: boolean;
  /** The buffer whose rows lie in a texture too, as they are now or normed: the residual stream after a product was added to it. */
  #copied: { buffer: GPUBuffer; texels: GPUTexture; normed?: GPUBuffer } | undefined;
  #roomForCopy: GPUTexture | undefined;

  constructor(
    private readonly recorder: Recorder,
    private readonly scratch: Scratch,
    private readonly rows: number,
    private readonly normEps: number,
  ) {
    this.few = takesFew(recorder.gpu, rows);
    this.join = joinsRows(recorder.gpu, rows);
  }

  /** A texture for what goes into a linear layer, where its product is sure to be one that takes it. */
  texelsFor({ packed, lora }: Linear): GPUTexture | undefined {
    const { recorder: { gpu }, rows } = this;
    if (!packed || lora || gpu.precision !== "f32" || takesFew(gpu, rows)) return undefined;
    if (packed.rows % 4 !== 0) return undefined; // manyRows leaves it to others
    return this.scratch.takeTexels(packed.columns);
  }

  /**
   * Products of more rows, where the weights are packed, of the norm of `x` with `before`; with `after`, see ManyRowsArgs. Tells whether
   * it was done.
   */
  many(
    weight: PackedMatrix | undefined,
    x: Rows,
    form: Form,
    products: readonly PackedProduct[],
    { before, after }: { before?: GPUBuffer; after?: GPUBuffer } = {},
  ): boolean {
    // Fast mode's products are not those of packed weights.
    if (!weight || this.recorder.gpu.precision !== "f32") return false;
    const { rows, normEps: eps } = this;
    const copied = x === this.#copied?.buffer ? this.#copied : undefined;
    const args = { weight, rows, form, products, after: after && { weight: after, eps } };
    if (before && copied?.normed === before) {
      return manyRows(this.recorder, { ...args, x: copied.texels });
    }
    const texels = copied?.normed ? undefined : copied?.texels;
    const norm = before && { weight: before, eps, texels };
    return manyRows(this.recorder, { ...args, x, norm });
  }

  /** All of a linear layer and what becomes of it, of however many rows. Tells whether it was done: else there is an adapter, or no room. */
  #whole(
    linear: Linear,
    x: Rows,
    form: "store" | "add",
    out: GPUBuffer,
    next?: GPUBuffer,
  ): boolean {
    const { packed, lora } = linear;
    if (this.fused(x, {}, { linears: [linear], packed }, out, form)) return true;
    const share = this.shareOf(linear);
    if (lora && !share) return false;
    if (form === "store" || !packed) return this.many(packed, x, form, [{ out, share }]);
    return this.#addedRows(packed, x, { out, share }, next);
  }

  /** {@link many} of one layer, added to something, which is then in a texture too: or its norm, where that is `next`. */
  #addedRows(
    packed: PackedMatrix,
    x: Rows,
    product: { out: GPUBuffer; share?: Share },
    next: GPUBuffer | undefined,
  ): boolean {
    const { recorder: { gpu }, rows } = this;
    const also = this.#roomForCopy ??= this.scratch.takeTexels(packed.rows);
    const rank = product.share?.b.columns ?? 0;
    const after = also && normsAfter(gpu.cores, rows, packed, rank) ? next : undefined;
    if (!this.many(packed, x, "add", [{ ...product, also }], { after })) return false;
    this.#copied = also && { buffer: product.out, texels: also, normed: after };
    return true;
  }

  /** To be called when others have written to what products were added to. */
  forget(): void {
    this.#copied = undefined;
  }

  /**
   * What is joined to `x` and its norm, where they are given, and products of few rows in one dispatch; in three under an adapter.
   * Tells whether it was done.
   */
  fused(
    x: Rows,
    { norm, join }: { norm?: GPUBuffer; join?: Join },
    stack: Stack,
    out: GPUBuffer,
    form: Form,
  ): boolean {
    if (isTexture(x)) return false;
    const { recorder, scratch, rows, normEps: eps } = this;
    const args = { x, join, norm: norm && { weight: norm, eps }, stack, out, rows, form };
    return isAdapted(stack.linears)
      ? adaptedProduct(recorder, scratch, args)
      : fusedProduct(recorder, args);
  }

  /** Products in one dispatch, without adapters' shares. Tells whether it was done. */
  plain(x: GPUBuffer, stack: Stack, out: GPUBuffer): boolean {
    const { recorder, rows } = this;
    return fusedProduct(recorder, { x, stack, out, rows, form: "store" }) ||
      this.many(stack.packed, x, "store", [{ out }]);
  }

  /**
   * Adds a product without a bias to `resid`. Tells whether it was done: an adapter's share may have to be added to the product first.
   *
   * @param next the norm through which `resid` will most likely go next
   */
  added(linear: Linear, x: Rows, resid: GPUBuffer, next?: GPUBuffer): boolean {
    this.forget();
    if (this.#whole(linear, x, "add", resid, next)) return true;
    if (linear.lora) return false;
    const { recorder, rows } = this;
    matmul(recorder, { x: inBuffer(x), weight: linear.weight, y: resid, rows, addScaled: 1 });
    return true;
  }

  /** `W x`, the bias and the adapter's share if there are any: `[tokens, out]`. */
  linear(x: Rows, linear: Linear): GPUBuffer {
    const y = this.scratch.take(linear.weight.rows);
    if (this.#whole(linear, x, "store", y)) return y;
    const { packed, lora } = linear;
    const input = inBuffer(x);
    if (!lora || !this.plain(input, { linears: [linear], packed }, y)) {
      this.#product(input, linear, { y });
    }
    this.adapt(input, linear, y);
    return y;
  }

  /** The same of layers with one input, each into a buffer or into some columns of it, and without adapters' shares. */
  products(x: GPUBuffer, linears: readonly Linear[], outs: readonly Out[]): void {
    const { recorder, rows } = this;
    const scales = rowScales(recorder, x, rows, linears.map(({ weight }) => weight));
    linears.forEach((linear, i) => this.#product(x, linear, outs[i], scales?.buffer));
    scales?.release();
  }

  #product(x: GPUBuffer, { weight, bias }: Linear, out: Out, scales?: GPUBuffer): void {
    const { recorder, rows } = this;
    const { y, columns } = out;
    matmul(recorder, { x, weight, rows, ...out, scales });
    if (bias) addBias(recorder, { x: y, bias, rows, width: weight.rows, columns });
  }

  /** What an adapter adds to a product, where that can be done in the same dispatch. */
  shareOf({ lora }: Linear): Share | undefined {
    if (this.few || !lora?.packed || !lora.low) return undefined;
    const { packed: b, low: { stack: lows, first }, scale } = lora;
    return { lows, firsts: [first], b, scale };
  }

  /** The products of layers with one input side by side: one of all, or one each where there are adapters; nothing where a share is not packed. */
  beside(linears: readonly Linear[], out: Rows): PackedProduct[] | undefined {
    if (!isAdapted(linears)) return [{ out }];
    const stride = linears.reduce((sum, { weight }) => sum + weight.rows, 0);
    const products: PackedProduct[] = [];
    let first = 0;
    for (const linear of linears) {
      const share = this.shareOf(linear);
      if (linear.lora && !share) return undefined;
      const count = linear.weight.rows;
      products.push({ out, first, count, columns: { stride, first }, share });
      first += count;
    }
    return products;
  }

  /** Adds the adapter's share, where there is one, to a product. */
  adapt(x: GPUBuffer, { lora }: Linear, y: GPUBuffer, columns?: Columns): void {
    if (!lora) return;
    const { recorder, scratch, rows } = this;
    const low = scratch.take(lora.a.rows);
    matmul(recorder, { x, weight: lora.a, y: low, rows });
    matmul(recorder, { x: low, weight: lora.b, y, rows, addScaled: lora.scale, columns });
    scratch.drop(low);
  }
}
