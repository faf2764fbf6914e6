/** One forward pass, from token ids to logits, read from top to bottom. */

import { type Batch, rowsAt } from "./batch.ts";
import { UsageError } from "./errors.ts";
import type { Gpu } from "./gpu/gpu.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { applyEdit } from "./edits.ts";
import { BLOCK_HOOKS, type Capture, type HookName, hookOrder, hookWidth } from "./hooks.ts";
import { finalNorm, logits } from "./head.ts";
import type { ModelSpec } from "./model_spec.ts";
import { attention, rope } from "./ops/attention.ts";
import { embed } from "./ops/embedding.ts";
import { matmul } from "./ops/matmul.ts";
import { addInPlace, copyRows, rmsnorm, swiglu } from "./ops/rows.ts";
import { Captured, type ForwardRequest, type Transformer } from "./transformer.ts";
import type { BlockWeights, Linear, ModelWeights } from "./weights/model_weights.ts";

/** Records the dispatches of one pass. Activations are f32 `[tokens, …]` in pooled buffers. */
export class ForwardPass {
  readonly #gpu: Gpu;
  readonly #spec: ModelSpec;
  readonly #weights: ModelWeights;
  readonly #captures: Required<Capture>[];
  readonly #captured = new Captured();
  /** Activations that are in use at this point of the pass. */
  readonly #held = new Set<GPUBuffer>();
  /** Order of the last hook that anything depends on; the pass ends there. */
  readonly #last: number;
  /** Token info for layers whose keys are in the cache, and for the others. */
  #cacheInfo!: GPUBuffer;
  #freshInfo!: GPUBuffer;
  #cacheRows: GPUBuffer | undefined;

  constructor(
    private readonly model: Transformer,
    private readonly recorder: Recorder,
    private readonly batch: Batch,
    private readonly request: ForwardRequest,
  ) {
    this.#gpu = model.gpu;
    this.#spec = model.spec;
    this.#weights = model.weights;
    this.#captures = (request.capture ?? []).map((c) =>
      typeof c === "string" ? { hook: c, positions: "all" } : { positions: "all", ...c }
    );
    const orders = this.#captures.map((capture) => hookOrder(this.#spec, capture.hook));
    // A cache wants the keys of its last layer, which are there once that layer's attention is.
    if (request.cache) orders.push((this.#spec.layers - 1) * BLOCK_HOOKS.length + 1);
    this.#last = Math.max(-Infinity, ...orders);
    if (request.start) checkStart(request.start, this.#spec, batch);
    const first = (request.start?.layer ?? 0) * BLOCK_HOOKS.length + (request.start ? 0 : -1);
    for (const { hook } of [...this.#captures, ...request.edits ?? []]) {
      if (hookOrder(this.#spec, hook) < first) {
        throw new UsageError(
          `Cannot reach hook "${hook}": the pass starts at layer ${request.start?.layer}`,
        );
      }
    }
  }

  /** Records the whole pass. When that fails, what it took goes back to the pools. */
  run(): Captured {
    try {
      return this.#run();
    } catch (error) {
      for (const buffer of this.#held) this.#gpu.buffers.release(buffer);
      this.#captured.release();
      throw error;
    }
  }

  #run(): Captured {
    const batch = this.batch;
    const { start, cache } = this.request;
    const { layers, hiddenSize } = this.#spec;
    if (this.#last === -Infinity) return this.#captured;
    this.#cacheInfo = this.#freshInfo = this.recorder.upload(batch.info);
    if (cache) {
      this.#cacheRows = this.recorder.upload(keyRows(batch));
      if (cache.firstLayer > (start?.layer ?? 0)) {
        this.#freshInfo = this.recorder.upload(freshInfo(batch));
      }
    }

    const resid = this.#activation(hiddenSize);
    if (start) {
      this.recorder.copy(start.resid.buffer, 0, resid, 0, batch.tokens * hiddenSize * 4);
    } else {
      const ids = this.recorder.upload(batch.ids);
      const table = this.#weights.embedding;
      embed(this.recorder, { ids, table, out: resid, tokens: batch.tokens, scale: 1 });
    }
    let ended = start ? false : this.#visit("hook_embed", resid);
    for (let layer = start?.layer ?? 0; layer < layers && !ended; layer++) {
      ended = this.#block(layer, resid);
    }
    if (!ended) this.#tail(resid);
    this.#drop(resid);
    return this.#captured;
  }

  /** One block, on the residual stream in place. Tells whether the pass ends within it. */
  #block(layer: number, resid: GPUBuffer): boolean {
    const weights = this.#weights.blocks[layer];
    const { tokens } = this.batch;
    const { hiddenSize, normEps } = this.#spec;
    const at = (point: string) => `blocks.${layer}.${point}`;
    const norm = (weight: GPUBuffer) => {
      const out = this.#activation(hiddenSize);
      rmsnorm(this.recorder, {
        x: resid,
        weight,
        out,
        rows: tokens,
        width: hiddenSize,
        eps: normEps,
      });
      return out;
    };

    if (this.#visit(at("hook_resid_pre"), resid)) return true;
    const attended = this.#attention(layer, weights, norm(weights.inputNorm));
    if (this.#visit(at("hook_attn_out"), attended)) return this.#drop(attended);
    addInPlace(this.recorder, resid, attended, tokens * hiddenSize);
    this.#drop(attended);
    if (this.#visit(at("hook_resid_mid"), resid)) return true;

    const mixed = this.#mlp(weights, norm(weights.postAttentionNorm));
    if (this.#visit(at("hook_mlp_out"), mixed)) return this.#drop(mixed);
    addInPlace(this.recorder, resid, mixed, tokens * hiddenSize);
    this.#drop(mixed);
    return this.#visit(at("hook_resid_post"), resid);
  }

  /** Attention of normalised rows `[tokens, hidden]`, which it releases: `[tokens, hidden]`. */
  #attention(layer: number, { linears }: BlockWeights, x: GPUBuffer): GPUBuffer {
    const { recorder } = this;
    const { tokens } = this.batch;
    const { heads, kvHeads, headDim, attentionScale } = this.#spec;
    const cached = this.request.cache?.layer(layer);
    const info = cached ? this.#cacheInfo : this.#freshInfo;
    const tables = this.model.ropeTable(this.#furthestPosition() + 1);

    const flatQ = this.#linear(x, linears["self_attn.q_proj"]);
    const flatK = this.#linear(x, linears["self_attn.k_proj"]);
    const freshV = this.#linear(x, linears["self_attn.v_proj"]);
    this.#drop(x);

    const q = this.#activation(heads * headDim);
    rope(recorder, { x: flatQ, tables, info, out: q, tokens, heads, headDim, toCache: false });
    this.#drop(flatQ);

    const k = cached?.k ?? this.#activation(kvHeads * headDim);
    rope(recorder, {
      x: flatK,
      tables,
      info,
      out: k,
      tokens,
      heads: kvHeads,
      headDim,
      toCache: true,
    });
    this.#drop(flatK);
    const v = cached?.v ?? freshV;
    if (cached) {
      const width = kvHeads * headDim;
      copyRows(recorder, { pairs: this.#cacheRows!, x: freshV, out: v, count: tokens, width });
      this.#drop(freshV);
    }

    const out = this.#activation(heads * headDim);
    attention(recorder, {
      q,
      k,
      v,
      info,
      out,
      tokens,
      heads,
      kvHeads,
      headDim,
      scale: attentionScale,
    });
    this.#drop(q);
    if (!cached) {
      this.#drop(k);
      this.#drop(v);
    }
    const projected = this.#linear(out, linears["self_attn.o_proj"]);
    this.#drop(out);
    return projected;
  }

  /** SwiGLU feed-forward of normalised rows `[tokens, hidden]`, which it releases: `[tokens, hidden]`. */
  #mlp({ linears }: BlockWeights, x: GPUBuffer): GPUBuffer {
    const { tokens } = this.batch;
    const gate = this.#linear(x, linears["mlp.gate_proj"]);
    const up = this.#linear(x, linears["mlp.up_proj"]);
    this.#drop(x);
    swiglu(this.recorder, gate, up, tokens * this.#spec.intermediateSize);
    this.#drop(up);
    const out = this.#linear(gate, linears["mlp.down_proj"]);
    this.#drop(gate);
    return out;
  }

  /** Final norm and logits, for no more rows than the captures there want. */
  #tail(resid: GPUBuffer): void {
    const batch = this.batch;
    const { hiddenSize } = this.#spec;
    const wanted = this.#captures.filter(({ hook }) =>
      hookOrder(this.#spec, hook) > this.#lastBlockHook()
    );
    const rows = new Set<number>();
    for (let s = 0; s < batch.starts.length; s++) {
      for (const { positions } of wanted) {
        for (const row of rowsAt(batch, s, positions)) rows.add(row);
      }
    }
    const kept = [...rows].sort((a, b) => a - b);
    const gathered = this.#hold(this.#gather(resid, kept, hiddenSize));
    const normed = this.#hold(finalNorm(this.model, this.recorder, gathered));
    this.#drop(gathered.buffer);
    const ended = this.#visit("ln_final.hook_normalized", normed.buffer, kept);
    if (!ended) {
      const scores = this.#hold(logits(this.model, this.recorder, normed));
      this.#visit("logits", scores.buffer, kept);
      this.#drop(scores.buffer);
    }
    this.#drop(normed.buffer);
  }

  /** `W x`, and the adapter's share if there is one: `[tokens, out]`. */
  #linear(x: GPUBuffer, { weight, lora }: Linear): GPUBuffer {
    const rows = this.batch.tokens;
    const y = this.#activation(weight.rows);
    matmul(this.recorder, { x, weight, y, rows });
    if (lora) {
      const low = this.#activation(lora.a.rows);
      matmul(this.recorder, { x, weight: lora.a, y: low, rows });
      matmul(this.recorder, { x: low, weight: lora.b, y, rows, addScaled: lora.scale });
      this.#drop(low);
    }
    return y;
  }

  /**
   * Applies the edits of a hook, keeps its captures, and tells whether the pass is over. `rows` are the batch rows
   * that `x` holds, all of them when absent.
   */
  #visit(hook: HookName, x: GPUBuffer, rows?: readonly number[]): boolean {
    for (const edit of this.request.edits ?? []) {
      if (edit.hook === hook) applyEdit(this.recorder, this.#spec, this.batch, edit, x, rows);
    }
    for (const { hook: name, positions } of this.#captures) {
      if (name === hook) this.#capture(name, positions, x, rows);
    }
    return hookOrder(this.#spec, hook) >= this.#last;
  }

  #capture(
    hook: HookName,
    positions: Capture["positions"],
    x: GPUBuffer,
    held?: readonly number[],
  ): void {
    const batch = this.batch;
    const placeOf = held && new Map(held.map((row, place) => [row, place]));
    const offsets = new Uint32Array(batch.starts.length + 1);
    const places: number[] = [];
    for (let s = 0; s < batch.starts.length; s++) {
      for (const row of rowsAt(batch, s, positions!)) places.push(placeOf?.get(row) ?? row);
      offsets[s + 1] = places.length;
    }
    this.#captured.set(hook, this.#gather(x, places, hookWidth(this.#spec, hook)), offsets);
  }

  /** The listed rows of `x` in a tensor of their own. */
  #gather(x: GPUBuffer, rows: readonly number[], width: number): DeviceTensor {
    const out = this.#gpu.tensor([rows.length, width]);
    if (rows.every((row, i) => row === i)) {
      this.recorder.copy(x, 0, out.buffer, 0, rows.length * width * 4);
    } else {
      const pairs = this.recorder.upload(Uint32Array.from(rows.flatMap((row, i) => [row, i])));
      copyRows(this.recorder, { pairs, x, out: out.buffer, count: rows.length, width });
    }
    return out;
  }

  #activation(width: number): GPUBuffer {
    const buffer = this.#gpu.buffers.acquire(this.batch.tokens * width * 4);
    this.#held.add(buffer);
    return buffer;
  }

  #hold(tensor: DeviceTensor): DeviceTensor {
    this.#held.add(tensor.buffer);
    return tensor;
  }

  #drop(buffer: GPUBuffer): true {
    this.#held.delete(buffer);
    this.#gpu.buffers.release(buffer);
    return true;
  }

  #lastBlockHook(): number {
    return this.#spec.layers * BLOCK_HOOKS.length - 1;
  }

  #furthestPosition(): number {
    const { offsets, starts } = this.batch;
    let furthest = 0;
    starts.forEach((start, s) =>
      furthest = Math.max(furthest, start + offsets[s + 1] - offsets[s] - 1)
    );
    return furthest;
  }
}

/** Pairs (batch row, row in the cache) for the values; the keys find theirs in rope.wgsl by the same rule. */
function keyRows({ tokens, info }: Batch): Uint32Array<ArrayBuffer> {
  const pairs = new Uint32Array(2 * tokens);
  for (let t = 0; t < tokens; t++) {
    const [, prefixLength, ownStart, position] = info.subarray(4 * t, 4 * t + 4);
    pairs[2 * t] = t;
    pairs[2 * t + 1] = ownStart + position - prefixLength;
  }
  return pairs;
}

/** Token info for layers that the cache leaves out: there the batch must hold its sequences from their beginning. */
function freshInfo({ tokens, offsets, starts, info }: Batch): Uint32Array<ArrayBuffer> {
  const fresh = new Uint32Array(4 * tokens);
  starts.forEach((start, s) => {
    if (start > 0) {
      throw new UsageError(
        `Cannot continue sequence ${s}: the cache does not hold its first layers`,
      );
    }
    for (let t = offsets[s]; t < offsets[s + 1]; t++) {
      fresh.set([0, 0, offsets[s], info[4 * t + 3]], 4 * t);
    }
  });
  return fresh;
}

function checkStart(
  { layer, resid }: NonNullable<ForwardRequest["start"]>,
  { layers, hiddenSize }: ModelSpec,
  { tokens }: Batch,
): void {
  if (!Number.isInteger(layer) || layer < 0 || layer > layers) {
    throw new UsageError(`Cannot start at layer ${layer}: the model has ${layers} layers`);
  }
  if (resid.shape[0] !== tokens || resid.shape[1] !== hiddenSize) {
    throw new UsageError(
      `Cannot start at layer ${layer}: the residuals are [${resid.shape}], the batch needs [${tokens}, ${hiddenSize}]`,
    );
  }
}
