/** The two sublayers of a block, attention and the feed-forward layer, with the norms around them. */

import { type Batch, furthestPosition } from "./batch.ts";
import { fusedProduct, type Stack } from "./fused_product.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { KeyStore } from "./key_stores.ts";
import type { BLOCK_NORMS, BlockLinear } from "./model_spec.ts";
import { attention, rope } from "./ops/attention.ts";
import { attentionDecode, fitsDecode } from "./ops/attention_decode.ts";
import { attentionEach } from "./ops/attention_each.ts";
import type { Form } from "./ops/few_rows.ts";
import { lowWidth, manyRows, type PackedProduct, type Share } from "./ops/many_rows.ts";
import { matmul } from "./ops/matmul.ts";
import { addBias, type Columns, copyRows, glu, rmsnorm } from "./ops/rows.ts";
import { oneTokenEach } from "./query_runs.ts";
import type { Scratch } from "./scratch.ts";
import type { Transformer } from "./transformer.ts";
import type { BlockWeights, Linear } from "./weights/model_weights.ts";
import { type PackedMatrix, STACKS } from "./weights/packed.ts";

/** What goes into attention, in the order in which attention_decode.wgsl has it. */
const QKV = STACKS.qkv;

/** Rows from which on manyRows takes adapters' shares too: with fewer of them copying to textures costs more than it saves. */
const SHARED_ROWS = 4;

/** Records the sublayers of one pass's blocks. */
export class BlockPass {
  /** Keys before the furthest token of the batch, itself among them. */
  readonly #keys: number;
  readonly #oneTokenEach: boolean;
  /** Whether there are too few rows for adapters' shares to go with the products. */
  readonly #few: boolean;

  constructor(
    private readonly model: Transformer,
    private readonly recorder: Recorder,
    private readonly scratch: Scratch,
    private readonly batch: Batch,
  ) {
    this.#keys = furthestPosition(batch) + 1;
    this.#oneTokenEach = oneTokenEach(batch);
    this.#few = batch.tokens < SHARED_ROWS;
  }

  /**
   * Attention's share of the residual stream `[tokens, hidden]`, in a buffer of its own; or, where nobody else wants it, added to
   * `resid` at once, as far as that takes no other sums.
   */
  attention(layer: number, resid: GPUBuffer, keys: KeyStore, add: boolean): GPUBuffer | undefined {
    const block = this.model.weights.blocks[layer];
    const attend = keys.each || this.#decodes(layer) ? this.#attendAtOnce : this.#attend;
    const heads = attend.call(this, layer, resid, keys);
    return this.#output(block, "attentionOut", "self_attn.o_proj", heads, add ? resid : undefined);
  }

  /** Whether one dispatch does a layer's attention from the projections on. */
  #decodes(layer: number): boolean {
    const { spec, gpu } = this.model;
    if (!this.#oneTokenEach || spec.qkNorm === "projection") return false;
    return fitsDecode(gpu, { ...spec, keys: this.#keys, window: spec.attention[layer].window });
  }

  /** The heads `[tokens, heads · headDim]` of tokens of which no two are of one sequence. */
  #attendAtOnce(layer: number, resid: GPUBuffer, keys: KeyStore): GPUBuffer {
    const { recorder, scratch, model: { spec }, batch: { tokens } } = this;
    const { heads, kvHeads, headDim } = spec;
    const { qNorm, kNorm } = this.model.weights.blocks[layer];
    const qkv = this.#projections(this.model.weights.blocks[layer], resid);
    const { window, rope: ropeSpec } = spec.attention[layer];
    const own = keys.cached ? undefined : [0, 1].map(() => scratch.take(kvHeads * headDim));
    const out = scratch.take(heads * headDim);
    const { each } = keys;
    const state = each?.shared && scratch.take(2 * heads);
    const args = {
      qkv,
      norms: qNorm && kNorm && { q: qNorm, k: kNorm, eps: spec.normEps },
      tables: this.model.ropeTable(ropeSpec, this.#keys),
      rotaryDim: ropeSpec.rotaryDim,
      info: keys.info,
      k: keys.cached?.k ?? own![0],
      v: keys.cached?.v ?? own![1],
      out,
      tokens,
      heads,
      kvHeads,
      headDim,
      keys: this.#keys,
      scale: spec.attentionScale,
      softcap: spec.attentionSoftcap,
      window,
    };
    const { texels } = keys;
    if (each) {
      const { q, shared } = each;
      attentionEach(recorder, { ...args, texels: { q, ...texels! }, shared, state });
    } else attentionDecode(recorder, { ...args, texels });
    for (const buffer of [qkv, ...own ?? [], ...state ? [state] : []]) scratch.drop(buffer);
    return out;
  }

  /** Norm and projections `[tokens, (heads + 2 · kvHeads) · headDim]`: queries, keys and values side by side. */
  #projections(block: BlockWeights, resid: GPUBuffer): GPUBuffer {
    const linears = QKV.map((name) => block.linears[name]);
    const stride = linears.reduce((sum, { weight }) => sum + weight.rows, 0);
    const qkv = this.scratch.take(stride);
    const stack = { linears, packed: block.stacked?.qkv, bias: block.qkvBias };
    const adapted = isAdapted(linears);
    if (!adapted && this.#fused(resid, block.norms.attentionIn, stack, qkv, "store")) return qkv;
    const x = this.#normOrSame(block, "attentionIn", resid);
    const done = adapted && this.#fused(x, undefined, stack, qkv, "store") ||
      this.#many(stack.packed, x, "store", [{ out: qkv }]);
    let first = 0;
    for (const linear of linears) {
      if (!done) this.#product(x, linear, qkv, { stride, first });
      this.#adapt(x, linear, qkv, { stride, first });
      first += linear.weight.rows;
    }
    if (x !== resid) this.scratch.drop(x);
    return qkv;
  }

  /** The heads `[tokens, heads · headDim]`, step by step. */
  #attend(layer: number, resid: GPUBuffer, keys: KeyStore): GPUBuffer {
    const block = this.model.weights.blocks[layer];
    const { recorder, scratch } = this;
    const { tokens } = this.batch;
    const { spec } = this.model;
    const { heads, kvHeads, headDim, attentionScale, attentionSoftcap } = spec;
    const { window, rope: ropeSpec } = spec.attention[layer];
    const { info, cached, runs } = keys;

    const [flatQ, flatK, freshV] = this.#apart(block, resid);
    const tables = this.model.ropeTable(ropeSpec, this.#keys);
    const turn = { tables, info, tokens, headDim, rotaryDim: ropeSpec.rotaryDim };
    const q = scratch.take(heads * headDim);
    rope(recorder, { ...turn, x: flatQ, out: q, heads, toCache: false });
    scratch.drop(flatQ);
    const k = cached?.k ?? scratch.take(kvHeads * headDim);
    rope(recorder, { ...turn, x: flatK, out: k, heads: kvHeads, toCache: true });
    scratch.drop(flatK);
    const v = cached?.v ?? freshV;
    if (cached) {
      const width = kvHeads * headDim;
      copyRows(recorder, { pairs: cached.rows, x: freshV, out: v, count: tokens, width });
    }

    const out = scratch.take(heads * headDim);
    const sizes = { tokens, heads, kvHeads, headDim, keys: this.#keys };
    const score = { scale: attentionScale, softcap: attentionSoftcap, window };
    attention(recorder, { q, k, v, info, out, runs, ...sizes, ...score });
    // Those of the cache are not the scratch's, and stay.
    for (const buffer of [q, k, freshV]) scratch.drop(buffer);
    return out;
  }

  /** Norm, projections and the norm of q and k: queries, keys and values, each `[tokens, heads, headDim]`. */
  #apart(block: BlockWeights, resid: GPUBuffer): GPUBuffer[] {
    const { heads, kvHeads } = this.model.spec;
    const linears = QKV.map((name) => block.linears[name]);
    const x = this.#normOrSame(block, "attentionIn", resid);
    const outs = linears.map(({ weight }) => this.scratch.take(weight.rows));
    let first = 0;
    const products = linears.map(({ weight: { rows: count } }, i) => {
      const product = { out: outs[i], first, count };
      first += count;
      return product;
    });
    const packed = block.stacked?.qkv;
    const shares = linears.map((linear) => this.#shareOf(linear));
    const shared = products.map((product, i) => ({ ...product, share: shares[i] }));
    const all = linears.every(({ lora }, i) => !lora || shares[i]);
    if (!all || !this.#many(packed, x, "store", shared)) {
      if (!this.#many(packed, x, "store", products)) {
        linears.forEach((linear, i) => this.#product(x, linear, outs[i]));
      }
      linears.forEach((linear, i) => this.#adapt(x, linear, outs[i]));
    }
    if (x !== resid) this.scratch.drop(x);
    const [q, k, v] = outs;
    return [this.#headNorm(q, heads, block.qNorm), this.#headNorm(k, kvHeads, block.kNorm), v];
  }

  /** The share of the gated feed-forward layer, as {@link attention} gives its own. */
  mlp(layer: number, resid: GPUBuffer, add: boolean): GPUBuffer | undefined {
    const block = this.model.weights.blocks[layer];
    const gated = this.#gated(block, resid);
    return this.#output(block, "mlpOut", "mlp.down_proj", gated, add ? resid : undefined);
  }

  /** Norm, and what the gates let pass: `[tokens, intermediate]`. */
  #gated(block: BlockWeights, resid: GPUBuffer): GPUBuffer {
    const { scratch, recorder } = this;
    const { intermediateSize, activation } = this.model.spec;
    const linears = STACKS.gateUp.map((name) => block.linears[name]);
    const stack = { linears, packed: block.stacked?.gateUp };
    const adapted = isAdapted(linears);
    const gate = scratch.take(intermediateSize);
    if (!adapted && this.#fused(resid, block.norms.mlpIn, stack, gate, activation)) return gate;
    const x = this.#normOrSame(block, "mlpIn", resid);
    const share = this.#few ? undefined : block.stacked?.gateUpShare;
    const atOnce = (!adapted || share) &&
      this.#many(stack.packed, x, activation, [{ out: gate, share }]);
    if (!atOnce) {
      const up = scratch.take(intermediateSize);
      const outs = [gate, up];
      const count = intermediateSize;
      const products = outs.map((out, i) => ({ out, first: i * count, count }));
      if (!adapted || !this.#many(stack.packed, x, "store", products)) {
        linears.forEach((linear, i) => this.#product(x, linear, outs[i]));
      }
      linears.forEach((linear, i) => this.#adapt(x, linear, outs[i]));
      glu(recorder, gate, up, this.batch.tokens * intermediateSize, activation);
      scratch.drop(up);
    }
    if (x !== resid) scratch.drop(x);
    return gate;
  }

  /** Products of more rows, where the weights are packed. Tells whether it was done. */
  #many(
    weight: PackedMatrix | undefined,
    x: GPUBuffer,
    form: Form,
    products: readonly PackedProduct[],
  ): boolean {
    // Fast mode's products are not those of packed weights.
    if (!weight || this.recorder.gpu.precision !== "f32") return false;
    const width = lowWidth(products);
    const low = width > 0 ? this.scratch.take(width) : undefined;
    const args = { x, weight, rows: this.batch.tokens, form, products, low };
    const done = manyRows(this.recorder, args);
    if (low) this.scratch.drop(low);
    return done;
  }

  /** A linear layer's product and what becomes of it in one dispatch, of however many rows. Tells whether it was done. */
  #single(linear: Linear, x: GPUBuffer, form: "store" | "add", out: GPUBuffer): boolean {
    const { packed } = linear;
    return this.#fused(x, undefined, { linears: [linear], packed }, out, form) ||
      this.#many(packed, x, form, [{ out }]);
  }

  /** The same with an adapter's share. */
  #withShare(linear: Linear, x: GPUBuffer, form: "store" | "add", out: GPUBuffer): boolean {
    const share = this.#shareOf(linear);
    return share !== undefined && this.#many(linear.packed, x, form, [{ out, share }]);
  }

  /** The norm of `x`, where it is given, and products of few rows in one dispatch. Tells whether it was done. */
  #fused(
    x: GPUBuffer,
    norm: GPUBuffer | undefined,
    stack: Stack,
    out: GPUBuffer,
    form: Form,
  ): boolean {
    const args = { x, norm: norm && { weight: norm, eps: this.model.spec.normEps }, stack, out };
    return fusedProduct(this.recorder, { ...args, rows: this.batch.tokens, form });
  }

  /** The last product of a sublayer and the norm after it, and `x` goes: a buffer of its own, or nothing when it was added to `resid`. */
  #output(
    block: BlockWeights,
    place: typeof BLOCK_NORMS[number],
    name: BlockLinear,
    x: GPUBuffer,
    resid: GPUBuffer | undefined,
  ): GPUBuffer | undefined {
    const { scratch } = this;
    const linear = block.linears[name];
    const norm = block.norms[place];
    const added = resid && !norm && !linear.bias && this.#added(linear, x, resid);
    let out: GPUBuffer | undefined;
    if (resid && norm) {
      const y = this.#linear(x, linear);
      this.#norm(y, norm, 1, this.model.spec.hiddenSize, resid);
      scratch.drop(y);
    } else if (!added) out = this.#normed(block, place, this.#linear(x, linear));
    scratch.drop(x);
    return out;
  }

  /** Adds a product without a bias to `resid`. Tells whether it was done: an adapter's share may have to be added to the product first. */
  #added(linear: Linear, x: GPUBuffer, resid: GPUBuffer): boolean {
    if (linear.lora) return this.#withShare(linear, x, "add", resid);
    if (!this.#single(linear, x, "add", resid)) {
      const { recorder, batch: { tokens: rows } } = this;
      matmul(recorder, { x, weight: linear.weight, y: resid, rows, addScaled: 1 });
    }
    return true;
  }

  /** `x` through a norm of the block into a new buffer; `x` itself where the block has no norm at that place. */
  #normOrSame({ norms }: BlockWeights, place: typeof BLOCK_NORMS[number], x: GPUBuffer) {
    const weight = norms[place];
    return weight ? this.#norm(x, weight, 1, this.model.spec.hiddenSize) : x;
  }

  /** The same, and `x` goes. */
  #normed(block: BlockWeights, place: typeof BLOCK_NORMS[number], x: GPUBuffer): GPUBuffer {
    const out = this.#normOrSame(block, place, x);
    if (out !== x) this.scratch.drop(x);
    return out;
  }

  /** RMSNorm of `[tokens · parts, width]` into a new buffer, or added to `resid`. */
  #norm(x: GPUBuffer, weight: GPUBuffer, parts: number, width: number, resid?: GPUBuffer) {
    const out = resid ?? this.scratch.take(parts * width);
    const eps = this.model.spec.normEps;
    const rows = this.batch.tokens * parts;
    rmsnorm(this.recorder, { x, weight, out, rows, width, eps, add: resid !== undefined });
    return out;
  }

  /** Queries or keys `[tokens, heads, headDim]`, normalised where the model does that. */
  #headNorm(flat: GPUBuffer, heads: number, weight?: GPUBuffer): GPUBuffer {
    const { headDim, qkNorm } = this.model.spec;
    if (!weight) return flat;
    const out = qkNorm === "head"
      ? this.#norm(flat, weight, heads, headDim)
      : this.#norm(flat, weight, 1, heads * headDim);
    this.scratch.drop(flat);
    return out;
  }

  /** `W x`, the bias and the adapter's share if there are any: `[tokens, out]`. */
  #linear(x: GPUBuffer, linear: Linear): GPUBuffer {
    const y = this.scratch.take(linear.weight.rows);
    if (this.#withShare(linear, x, "store", y)) return y;
    if (!this.#single(linear, x, "store", y)) this.#product(x, linear, y);
    this.#adapt(x, linear, y);
    return y;
  }

  /** `W x` and the bias if there is one, into a buffer or into some columns of it. */
  #product(x: GPUBuffer, { weight, bias }: Linear, y: GPUBuffer, columns?: Columns): void {
    const { recorder, batch: { tokens: rows } } = this;
    matmul(recorder, { x, weight, y, rows, columns });
    if (bias) addBias(recorder, { x: y, bias, rows, width: weight.rows, columns });
  }

  /** What an adapter adds to a product, where that can be done in the same dispatch. */
  #shareOf({ lora }: Linear): Share | undefined {
    if (this.#few || !lora?.packed) return undefined;
    return { factors: [lora.a], b: lora.packed, scale: lora.scale };
  }

  /** Adds the adapter's share, where there is one, to a product. */
  #adapt(x: GPUBuffer, { lora }: Linear, y: GPUBuffer, columns?: Columns): void {
    if (!lora) return;
    const { recorder, scratch, batch: { tokens: rows } } = this;
    const low = scratch.take(lora.a.rows);
    matmul(recorder, { x, weight: lora.a, y: low, rows });
    matmul(recorder, { x: low, weight: lora.b, y, rows, addScaled: lora.scale, columns });
    scratch.drop(low);
  }
}

/** Whether a product is not all that comes of a linear layer, so that nothing can be done with it in the same dispatch. */
function isAdapted(linears: readonly Linear[]): boolean {
  return linears.some(({ lora }) => lora);
}
