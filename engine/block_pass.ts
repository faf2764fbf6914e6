/** The two sublayers of a block, attention and the feed-forward layer, with the norms around them. */

import type { Batch } from "./batch.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { KeyStore } from "./key_stores.ts";
import type { BLOCK_NORMS } from "./model_spec.ts";
import { attention, rope } from "./ops/attention.ts";
import { matmul } from "./ops/matmul.ts";
import { addBias, copyRows, glu, rmsnorm } from "./ops/rows.ts";
import type { Scratch } from "./scratch.ts";
import type { Transformer } from "./transformer.ts";
import type { BlockWeights, Linear } from "./weights/model_weights.ts";

/** Records the sublayers of one pass's blocks. */
export class BlockPass {
  constructor(
    private readonly model: Transformer,
    private readonly recorder: Recorder,
    private readonly scratch: Scratch,
    private readonly batch: Batch,
  ) {}

  /** What attention adds to the residual stream `[tokens, hidden]`: a buffer of its own. */
  attention(layer: number, resid: GPUBuffer, keys: KeyStore): GPUBuffer {
    const block = this.model.weights.blocks[layer];
    const { recorder, scratch } = this;
    const { tokens } = this.batch;
    const { spec } = this.model;
    const { heads, kvHeads, headDim, attentionScale, attentionSoftcap } = spec;
    const { window, rope: ropeSpec } = spec.attention[layer];
    const { info, cached, runs } = keys;

    const x = this.#normOrSame(block, "attentionIn", resid);
    const flatQ = this.#projection(x, block.linears["self_attn.q_proj"], heads, block.qNorm);
    const flatK = this.#projection(x, block.linears["self_attn.k_proj"], kvHeads, block.kNorm);
    const freshV = this.#linear(x, block.linears["self_attn.v_proj"]);
    if (x !== resid) scratch.drop(x);

    const tables = this.model.ropeTable(ropeSpec, furthestPosition(this.batch) + 1);
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
    const sizes = { tokens, heads, kvHeads, headDim, keys: furthestPosition(this.batch) + 1 };
    const score = { scale: attentionScale, softcap: attentionSoftcap, window };
    attention(recorder, { q, k, v, info, out, runs, ...sizes, ...score });
    // Those of the cache are not the scratch's, and stay.
    for (const buffer of [q, k, freshV]) scratch.drop(buffer);
    const projected = this.#linear(out, block.linears["self_attn.o_proj"]);
    scratch.drop(out);
    return this.#normed(block, "attentionOut", projected);
  }

  /** What the gated feed-forward layer adds to the residual stream `[tokens, hidden]`: a buffer of its own. */
  mlp(layer: number, resid: GPUBuffer): GPUBuffer {
    const block = this.model.weights.blocks[layer];
    const { scratch, recorder } = this;
    const { intermediateSize, activation } = this.model.spec;
    const x = this.#normOrSame(block, "mlpIn", resid);
    const gate = this.#linear(x, block.linears["mlp.gate_proj"]);
    const up = this.#linear(x, block.linears["mlp.up_proj"]);
    if (x !== resid) scratch.drop(x);
    glu(recorder, gate, up, this.batch.tokens * intermediateSize, activation);
    scratch.drop(up);
    const out = this.#linear(gate, block.linears["mlp.down_proj"]);
    scratch.drop(gate);
    return this.#normed(block, "mlpOut", out);
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

  /** RMSNorm of `[tokens · parts, width]`. */
  #norm(x: GPUBuffer, weight: GPUBuffer, parts: number, width: number): GPUBuffer {
    const out = this.scratch.take(parts * width);
    const eps = this.model.spec.normEps;
    rmsnorm(this.recorder, { x, weight, out, rows: this.batch.tokens * parts, width, eps });
    return out;
  }

  /** Queries or keys `[tokens, heads, headDim]`, normalised where the model does that. */
  #projection(x: GPUBuffer, linear: Linear, heads: number, weight?: GPUBuffer): GPUBuffer {
    const { headDim, qkNorm } = this.model.spec;
    const flat = this.#linear(x, linear);
    if (!weight) return flat;
    const out = qkNorm === "head"
      ? this.#norm(flat, weight, heads, headDim)
      : this.#norm(flat, weight, 1, heads * headDim);
    this.scratch.drop(flat);
    return out;
  }

  /** `W x`, the bias and the adapter's share if there are any: `[tokens, out]`. */
  #linear(x: GPUBuffer, { weight, bias, lora }: Linear): GPUBuffer {
    const { recorder, scratch } = this;
    const rows = this.batch.tokens;
    const y = scratch.take(weight.rows);
    matmul(recorder, { x, weight, y, rows });
    if (bias) addBias(recorder, { x: y, bias, rows, width: weight.rows });
    if (lora) {
      const low = scratch.take(lora.a.rows);
      matmul(recorder, { x, weight: lora.a, y: low, rows });
      matmul(recorder, { x: low, weight: lora.b, y, rows, addScaled: lora.scale });
      scratch.drop(low);
    }
    return y;
  }
}

function furthestPosition({ offsets, starts }: Batch): number {
  return starts.reduce(
    (furthest, start, s) => Math.max(furthest, start + offsets[s + 1] - offsets[s] - 1),
    0,
  );
}
