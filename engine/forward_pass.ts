/** One forward pass, from token ids to logits, read from top to bottom. */

import type { Batch } from "./batch.ts";
import { BlockPass } from "./block_pass.ts";
import { UsageError } from "./errors.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { DeviceTensor } from "./gpu/tensor.ts";
import { finalNorm, lookUp, unembed } from "./head.ts";
import { type Captured, HookPoints } from "./hook_points.ts";
import { BLOCK_HOOKS } from "./hooks.ts";
import { KeyStores } from "./key_stores.ts";
import type { ModelSpec } from "./model_spec.ts";
import { embed } from "./ops/embedding.ts";
import { matmul } from "./ops/matmul.ts";
import { addInPlace, softcap } from "./ops/rows.ts";
import { Residual } from "./residual.ts";
import { Scratch } from "./scratch.ts";
import type { ForwardRequest, Transformer } from "./transformer.ts";

const FINAL_NORM = "ln_final.hook_normalized";

/** Records the dispatches of one pass. Activations are f32 `[tokens, …]` in pooled buffers. */
export class ForwardPass {
  readonly #scratch: Scratch;
  readonly #hooks: HookPoints;
  readonly #blocks: BlockPass;
  /** Rows that captures after the last block want. */
  readonly #kept: readonly number[];

  constructor(
    private readonly model: Transformer,
    private readonly recorder: Recorder,
    private readonly batch: Batch,
    private readonly request: ForwardRequest,
  ) {
    const { spec, gpu } = model;
    const { capture, edits, cache, start, partial } = request;
    if (start) checkStart(start, spec, batch);
    // A cache wants the keys of its last layer, which are there once that layer's attention is.
    const least = cache && !partial ? (spec.layers - 1) * BLOCK_HOOKS.length + 1 : undefined;
    this.#scratch = new Scratch(gpu, batch.tokens);
    this.#hooks = new HookPoints(spec, batch, recorder, {
      capture,
      edits,
      from: start?.layer,
      least,
    });
    this.#kept = this.#hooks.rowsOfTail();
    this.#blocks = new BlockPass(model, recorder, this.#scratch, batch);
  }

  /** Records the whole pass. When that fails, what it took goes back to the pools. */
  run(): Captured {
    try {
      if (!this.#hooks.nothing) this.#run();
      return this.#hooks.captured;
    } catch (error) {
      this.#scratch.dropAll();
      this.#hooks.captured.release();
      throw error;
    }
  }

  #run(): void {
    const { start, cache } = this.request;
    const first = start?.layer ?? 0;
    const stores = new KeyStores(this.recorder, this.batch, cache, first, this.model.spec);
    try {
      const resid = new Residual(this.#begin());
      let ended = this.#visitFirst(resid.buffer);
      for (let layer = first; layer < this.model.spec.layers && !ended; layer++) {
        ended = this.#block(layer, resid, stores);
      }
      if (!ended) this.#tail(resid);
    } finally {
      stores.close();
    }
    this.#scratch.dropAll();
  }

  /** The residual stream before the first layer of the pass: the embedding, or what the request gives. */
  #begin(): GPUBuffer {
    const { recorder, batch, request, model } = this;
    const { hiddenSize, embeddingScale: scale } = model.spec;
    const resid = this.#scratch.take(hiddenSize);
    if (request.start) {
      const { buffer } = request.start.resid;
      recorder.copy(buffer, 0, resid, 0, batch.tokens * hiddenSize * 4);
    } else {
      const { tokens } = batch;
      const { embedding: table, embeddingLora: lora } = model.weights;
      lookUp(recorder, { ids: request.ids ?? batch.ids, table, out: resid, tokens, scale });
      if (lora) {
        const ids = request.ids ?? recorder.upload(batch.ids);
        const low = this.#scratch.take(lora.a.columns);
        embed(recorder, { ids, table: lora.a, out: low, tokens, scale: 1 });
        const addScaled = lora.scale * scale;
        matmul(recorder, { x: low, weight: lora.b, y: resid, rows: tokens, addScaled });
        this.#scratch.drop(low);
      }
    }
    return resid;
  }

  /** The hook at which the pass begins: the embedding, or what stands before the layer that it starts at. */
  #visitFirst(resid: GPUBuffer): boolean {
    const { start } = this.request;
    if (!start) return this.#hooks.visit("hook_embed", resid);
    return start.layer > 0 && this.#hooks.visit(`blocks.${start.layer - 1}.hook_resid_post`, resid);
  }

  /** One block, on the residual stream. Tells whether the pass ends within it. */
  #block(layer: number, resid: Residual, stores: KeyStores): boolean {
    const count = this.batch.tokens * this.model.spec.hiddenSize;
    const at = (point: string, x?: GPUBuffer) => {
      const hook = `blocks.${layer}.${point}`;
      if (!this.#hooks.uses(hook)) return false;
      const edit = !x && this.#blocks.joins ? this.#hooks.addedVector(hook) : undefined;
      if (edit) {
        this.#blocks.leave(edit, resid);
        return false;
      }
      this.#blocks.handOver(resid);
      return this.#hooks.visit(hook, x ?? resid.buffer);
    };

    if (at("hook_resid_pre")) return true;
    for (const stage of this.model.weights.blocks[layer].stages ?? []) this.recorder.need(stage);
    const added = (point: string) => !this.#hooks.uses(`blocks.${layer}.${point}`);
    const add = (x: GPUBuffer) => {
      this.#blocks.handOver(resid);
      addInPlace(this.recorder, resid.buffer, x, count);
      this.#scratch.drop(x);
    };
    const keys = stores.of(layer);
    const attended = this.#blocks.attention(layer, resid, keys, added("hook_attn_out"));
    if (attended && at("hook_attn_out", attended)) return true;
    if (attended) add(attended);
    if (at("hook_resid_mid")) return true;

    const mixed = this.#blocks.mlp(layer, resid, added("hook_mlp_out"), this.#normAfter(layer));
    if (mixed && at("hook_mlp_out", mixed)) return true;
    if (mixed) add(mixed);
    return at("hook_resid_post");
  }

  /** The norm that the residual stream goes through after a layer, if that is there already and is one of all rows. */
  #normAfter(layer: number): GPUBuffer | undefined {
    const { blocks, finalNorm } = this.model.weights;
    const following = blocks[layer + 1];
    if (following) return following.stages ? undefined : following.norms.attentionIn;
    return this.#wholeTail() ? finalNorm : undefined;
  }

  /** Whether the final norm is that of all rows, nobody looks at it, and the product after it may take it. */
  #wholeTail(): boolean {
    const { packed, lora } = this.model.weights.head;
    if (!packed || lora || this.#hooks.uses(FINAL_NORM)) return false;
    return this.#kept.length === this.batch.tokens;
  }

  /** Final norm and logits, for no more rows than the captures there want. */
  #tail(stream: Residual): void {
    const { model, recorder } = this;
    this.#blocks.settle(stream);
    const { buffer: resid } = stream;
    const { hiddenSize } = model.spec;
    const hooks = this.#hooks;
    const scratch = this.#scratch;
    const kept = this.#kept;
    const atOnce = this.#wholeTail() ? this.#blocks.scores(resid) : undefined;
    if (atOnce) return this.#logits(scratch.hold(atOnce));
    const gathered = kept.length < this.batch.tokens
      ? scratch.hold(hooks.gather(resid, kept, hiddenSize))
      : new DeviceTensor(model.gpu, resid, [kept.length, hiddenSize]);
    const normed = scratch.hold(finalNorm(model, recorder, gathered));
    scratch.drop(gathered.buffer);
    if (hooks.visit(FINAL_NORM, normed.buffer, kept)) return;
    this.#logits(scratch.hold(unembed(model, recorder, normed)));
  }

  /** The last of a pass: the scores of the rows that are kept. */
  #logits(scores: DeviceTensor): void {
    const { finalSoftcap } = this.model.spec;
    if (finalSoftcap !== null) softcap(this.recorder, scores.buffer, scores.length, finalSoftcap);
    if (this.#hooks.visitLast("logits", scores, this.#kept)) this.#scratch.keep(scores.buffer);
  }
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
