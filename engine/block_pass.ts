/** The two sublayers of a block, attention and the feed-forward layer, with the norms around them. */

import { type Batch, furthestPosition } from "./batch.ts";
import { BlockProducts, inBuffer, isAdapted, type Rows } from "./block_products.ts";
import type { Stack } from "./fused_product.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { isTexture } from "./gpu/texels.ts";
import type { KeyStore } from "./key_stores.ts";
import { type BLOCK_NORMS, type BlockLinear, projectedWidth } from "./model_spec.ts";
import { attention, rope } from "./ops/attention.ts";
import { attentionDecode, fitsDecode } from "./ops/attention_decode.ts";
import { attentionEach } from "./ops/attention_each.ts";
import type { AddedVector, Form } from "./ops/few_rows.ts";
import { copyRows, editRows, glu, rmsnorm } from "./ops/rows.ts";
import { oneTokenEach } from "./query_runs.ts";
import type { Residual } from "./residual.ts";
import type { Scratch } from "./scratch.ts";
import type { Transformer } from "./transformer.ts";
import type { BlockWeights } from "./weights/model_weights.ts";
import { STACKS } from "./weights/packed.ts";

/** What goes into attention, in the order in which attention_decode.wgsl has it. */
const QKV = STACKS.qkv;

/** Records the sublayers of one pass's blocks. */
export class BlockPass {
  /** Keys before the furthest token of the batch, itself among them. */
  readonly #keys: number;
  readonly #oneTokenEach: boolean;
  readonly #products: BlockProducts;

  constructor(
    private readonly model: Transformer,
    private readonly recorder: Recorder,
    private readonly scratch: Scratch,
    private readonly batch: Batch,
  ) {
    this.#keys = furthestPosition(batch) + 1;
    this.#oneTokenEach = oneTokenEach(batch);
    this.#products = new BlockProducts(recorder, scratch, batch.tokens, model.spec.normEps);
  }

  /**
   * Attention's share of the residual stream `[tokens, hidden]`, in a buffer of its own; or, where nobody else wants it, added to
   * `resid` at once, as far as that takes no other sums, or left for it to get.
   */
  attention(layer: number, resid: Residual, keys: KeyStore, add: boolean): GPUBuffer | undefined {
    const block = this.model.weights.blocks[layer];
    const atOnce = keys.each || this.#decodes(layer);
    const heads = atOnce
      ? this.#attendAtOnce(layer, resid, keys)
      : this.#attend(layer, resid, keys);
    const { mlpIn } = block.norms;
    return this.#output(
      block,
      "attentionOut",
      "self_attn.o_proj",
      heads,
      add ? resid : undefined,
      mlpIn,
    );
  }

  /** To be called before others write to the residual stream, or do so perhaps. */
  handOver(resid: Residual): void {
    this.settle(resid);
    this.#products.forget();
  }

  /** Whether there are so few rows that what is added to the residual stream may be left to the next product. */
  get joins(): boolean {
    return this.#products.join;
  }

  /** Leaves an edit of the residual stream to the dispatch that reads it next. */
  leave(edit: AddedVector, resid: Residual): void {
    this.handOver(resid);
    resid.pending = edit;
  }

  /** To be called before others read the residual stream: adds what was left to do. */
  settle(resid: Residual): void {
    const { pending, buffer: x } = resid;
    if (!pending) return;
    resid.pending = undefined;
    const { hiddenSize: width } = this.model.spec;
    if (pending.kind === "vector") {
      const { vector, entries } = pending;
      const { tokens: count } = this.batch;
      editRows(this.recorder, "add", { x, vectors: vector, entries, count, width });
      return;
    }
    const { y, weight } = pending;
    this.#norm(y, weight, 1, width, x);
    this.scratch.drop(y);
  }

  /** Norm and products of few rows in one dispatch, with what was left to add. Tells whether it was done: else that is added by itself. */
  #fused(
    resid: Residual,
    norm: GPUBuffer | undefined,
    stack: Stack,
    out: GPUBuffer,
    form: Form,
  ): boolean {
    const { buffer, pending } = resid;
    const sum = pending && norm && this.scratch.take(this.model.spec.hiddenSize);
    const join = sum && { ...pending, sum };
    if (join && this.#products.fused(buffer, { norm, join }, stack, out, form)) {
      this.scratch.drop(buffer);
      if (pending.kind === "normed") this.scratch.drop(pending.y);
      resid.buffer = sum;
      resid.pending = undefined;
      return true;
    }
    if (sum) this.scratch.drop(sum);
    this.settle(resid);
    return this.#products.fused(resid.buffer, { norm }, stack, out, form);
  }

  /** Whether one dispatch does a layer's attention from the projections on. */
  #decodes(layer: number): boolean {
    const { spec, gpu } = this.model;
    if (!this.#oneTokenEach || spec.qkNorm === "projection") return false;
    return fitsDecode(gpu, { ...spec, keys: this.#keys, window: spec.attention[layer].window });
  }

  /** The heads `[tokens, heads · headDim]` of tokens of which no two are of one sequence. */
  #attendAtOnce(layer: number, resid: Residual, keys: KeyStore): Rows {
    const { recorder, scratch, model: { spec }, batch: { tokens } } = this;
    const { heads, kvHeads, headDim } = spec;
    const block = this.model.weights.blocks[layer];
    const { qNorm, kNorm } = block;
    const { each } = keys;
    const qkv = this.#projections(block, resid, each?.qkv);
    const { window, rope: ropeSpec } = spec.attention[layer];
    const own = keys.cached ? undefined : [0, 1].map(() => scratch.take(kvHeads * headDim));
    const out = scratch.take(heads * headDim);
    const state = each?.shared && scratch.take(2 * heads);
    const args = {
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
    let inTexels: GPUTexture | undefined;
    if (each) {
      const { shared } = each;
      if (!isTexture(qkv)) {
        const bytes = 4 * tokens * projectedWidth(spec);
        recorder.copyToTexels({ buffer: qkv, offset: 0, bytes, texture: each.qkv });
      }
      inTexels = this.#products.texelsFor(block.linears["self_attn.o_proj"]);
      attentionEach(recorder, {
        ...args,
        texels: { qkv: each.qkv, q: each.q, ...texels!, out: inTexels },
        shared,
        state,
      });
      if (inTexels) scratch.drop(out);
    } else attentionDecode(recorder, { ...args, qkv: inBuffer(qkv), texels });
    for (const buffer of [qkv, ...own ?? [], ...state ? [state] : []]) scratch.drop(buffer);
    return inTexels ?? out;
  }

  /**
   * Norm and projections `[tokens, (heads + 2 · kvHeads) · headDim]`: queries, keys and values side by side.
   *
   * @param texels where they may go instead
   */
  #projections(block: BlockWeights, resid: Residual, texels?: GPUTexture): Rows {
    const linears = QKV.map((name) => block.linears[name]);
    const stride = projectedWidth(this.model.spec);
    const stack = { linears, packed: block.stacked?.qkv, bias: block.qkvBias };
    const norm = block.norms.attentionIn;
    const many = (out: Rows) => {
      const products = this.#products.beside(linears, out);
      return products &&
        this.#products.many(stack.packed, resid.buffer, "store", products, { before: norm });
    };
    if (texels && many(texels)) return texels;
    const qkv = this.scratch.take(stride);
    if (this.#fused(resid, norm, stack, qkv, "store") || many(qkv)) return qkv;
    const x = this.#normOrSame(block, "attentionIn", resid.buffer);
    let first = 0;
    const outs = linears.map(({ weight: { rows: count } }) => {
      const columns = { stride, first };
      first += count;
      return { y: qkv, columns };
    });
    const done = isAdapted(linears) && this.#products.plain(x, stack, qkv);
    if (!done) this.#products.products(x, linears, outs);
    linears.forEach((linear, i) => this.#products.adapt(x, linear, qkv, outs[i].columns));
    if (x !== resid.buffer) this.scratch.drop(x);
    return qkv;
  }

  /** The heads `[tokens, heads · headDim]`, step by step. */
  #attend(layer: number, resid: Residual, keys: KeyStore): GPUBuffer {
    const block = this.model.weights.blocks[layer];
    const { recorder, scratch } = this;
    const { tokens } = this.batch;
    const { spec } = this.model;
    const { heads, kvHeads, headDim, attentionScale, attentionSoftcap } = spec;
    const { window, rope: ropeSpec } = spec.attention[layer];
    const { info, cached, runs } = keys;

    this.settle(resid);
    const [flatQ, flatK, freshV] = this.#apart(block, resid.buffer);
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
      copyRows(recorder, { pairs: cached.rows(), x: freshV, out: v, count: tokens, width });
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
    const outs = linears.map(({ weight }) => this.scratch.take(weight.rows));
    let first = 0;
    const products = linears.map(({ weight: { rows: count } }, i) => {
      const product = { out: outs[i], first, count };
      first += count;
      return product;
    });
    const packed = block.stacked?.qkv;
    const shares = linears.map((linear) => this.#products.shareOf(linear));
    const shared = products.map((product, i) => ({ ...product, share: shares[i] }));
    const all = linears.every(({ lora }, i) => !lora || shares[i]);
    const before = block.norms.attentionIn;
    if (!all || !this.#products.many(packed, resid, "store", shared, { before })) {
      const x = this.#normOrSame(block, "attentionIn", resid);
      if (!this.#products.many(packed, x, "store", products)) {
        this.#products.products(x, linears, outs.map((y) => ({ y })));
      }
      linears.forEach((linear, i) => this.#products.adapt(x, linear, outs[i]));
      if (x !== resid) this.scratch.drop(x);
    }
    const [q, k, v] = outs;
    return [this.#headNorm(q, heads, block.qNorm), this.#headNorm(k, kvHeads, block.kNorm), v];
  }

  /**
   * The share of the gated feed-forward layer, as {@link attention} gives its own.
   *
   * @param next the norm that `resid` goes through after it, as far as that is known
   */
  mlp(layer: number, resid: Residual, add: boolean, next?: GPUBuffer): GPUBuffer | undefined {
    const block = this.model.weights.blocks[layer];
    const gated = this.#gated(block, resid);
    return this.#output(block, "mlpOut", "mlp.down_proj", gated, add ? resid : undefined, next);
  }

  /** Final norm and unembedding of all rows by packed weights, without an adapter: `[tokens, vocab]`; not of few rows, or where there is no room. */
  scores(resid: GPUBuffer): DeviceTensor | undefined {
    const { gpu, spec: { vocabSize }, weights: { finalNorm, head: { packed } } } = this.model;
    if (this.#products.few) return undefined;
    const out = gpu.tensor([this.batch.tokens, vocabSize]);
    const products = [{ out: out.buffer }];
    if (this.#products.many(packed, resid, "store", products, { before: finalNorm })) return out;
    out.release();
    return undefined;
  }

  /** Norm, and what the gates let pass: `[tokens, intermediate]`. */
  #gated(block: BlockWeights, resid: Residual): Rows {
    const { scratch, recorder } = this;
    const { intermediateSize, activation } = this.model.spec;
    const linears = STACKS.gateUp.map((name) => block.linears[name]);
    const stack = { linears, packed: block.stacked?.gateUp };
    const adapted = isAdapted(linears);
    const norm = block.norms.mlpIn;
    const share = this.#products.few ? undefined : block.stacked?.gateUpShare;
    const atOnce = (out: Rows) =>
      (!adapted || share) &&
      this.#products.many(stack.packed, resid.buffer, activation, [{ out, share }], {
        before: norm,
      });
    const texels = this.#products.texelsFor(block.linears["mlp.down_proj"]);
    if (texels && atOnce(texels)) return texels;
    if (texels) scratch.drop(texels);
    const gate = scratch.take(intermediateSize);
    if (this.#fused(resid, norm, stack, gate, activation)) return gate;
    if (atOnce(gate)) return gate;
    const x = this.#normOrSame(block, "mlpIn", resid.buffer);
    const up = scratch.take(intermediateSize);
    const outs = [gate, up];
    const count = intermediateSize;
    const products = outs.map((out, i) => ({ out, first: i * count, count }));
    if (!adapted || !this.#products.many(stack.packed, x, "store", products)) {
      this.#products.products(x, linears, outs.map((y) => ({ y })));
    }
    linears.forEach((linear, i) => this.#products.adapt(x, linear, outs[i]));
    glu(recorder, gate, up, this.batch.tokens * intermediateSize, activation);
    scratch.drop(up);
    if (x !== resid.buffer) scratch.drop(x);
    return gate;
  }

  /**
   * The last product of a sublayer and the norm after it, and `x` goes: a buffer of its own, or nothing when `resid` has it or is to get
   * it. That goes through the norm `next` then, if nobody looks at it or changes it.
   */
  #output(
    block: BlockWeights,
    place: typeof BLOCK_NORMS[number],
    name: BlockLinear,
    x: Rows,
    resid: Residual | undefined,
    next: GPUBuffer | undefined,
  ): GPUBuffer | undefined {
    const { scratch } = this;
    const linear = block.linears[name];
    const norm = block.norms[place];
    const added = resid && !norm && !linear.bias &&
      this.#products.added(linear, x, resid.buffer, next);
    let out: GPUBuffer | undefined;
    if (resid && norm) {
      this.#products.forget();
      resid.pending = { kind: "normed", y: this.#products.linear(x, linear), weight: norm };
      // The next layer's weights may come to where this one's norm lies.
      const leaves = this.joins && !(place === "mlpOut" && block.stages);
      if (!leaves) this.settle(resid);
    } else if (!added) out = this.#normed(block, place, this.#products.linear(x, linear));
    scratch.drop(x);
    return out;
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
}
