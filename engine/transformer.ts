/** A decoder-only transformer on the device, and what may be asked of a forward pass. */

import { type Batch, type KeyPlacement, packBatch, type Positions } from "./batch.ts";
import { ForwardPass } from "./forward_pass.ts";
import type { Gpu } from "./gpu/gpu.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { finalNorm, logits } from "./head.ts";
import type { Capture, Edit, HookName } from "./hooks.ts";
import type { KvCache } from "./kv_cache.ts";
import type { ModelSpec } from "./model_spec.ts";
import { ropeTable } from "./rope.ts";
import type { ModelWeights } from "./weights/model_weights.ts";

/** What a forward pass shall do besides running. It stops after the last hook that is captured. */
export interface ForwardRequest {
  capture?: readonly (HookName | Capture)[];
  edits?: readonly Edit[];
  /** Keys and values go here, at the rows that the batch's placements name. */
  cache?: KvCache;
  /** Begin at a layer with given residuals `[tokens, hidden]` (its `hook_resid_pre`) instead of the embedding. */
  start?: { layer: number; resid: DeviceTensor };
}

/** What a forward pass kept: at each captured hook a tensor `[rows, width]` and the rows of each sequence. */
export class Captured {
  #tensors = new Map<HookName, { tensor: DeviceTensor; offsets: Uint32Array }>();

  /** @internal Stores one capture. */
  set(hook: HookName, tensor: DeviceTensor, offsets: Uint32Array): void {
    this.#tensors.set(hook, { tensor, offsets });
  }

  /** Activations at a hook, sequences end to end. */
  get(hook: HookName): DeviceTensor {
    return this.#tensors.get(hook)!.tensor;
  }

  /** Where each sequence's rows begin at a hook, and the end of the last: `[sequences + 1]`. */
  offsets(hook: HookName): Uint32Array {
    return this.#tensors.get(hook)!.offsets;
  }

  /** The hooks that were captured. */
  hooks(): HookName[] {
    return [...this.#tensors.keys()];
  }

  /** Gives all buffers back. */
  release(): void {
    for (const { tensor } of this.#tensors.values()) tensor.release();
    this.#tensors.clear();
  }
}

/** A model that can run. Made by `loadModel` of `models/`. */
export class Transformer {
  /** Each larger than the one before, which recorded commands may still use. */
  #ropeTables: { positions: number; buffer: GPUBuffer }[] = [];

  constructor(
    readonly gpu: Gpu,
    readonly spec: ModelSpec,
    readonly weights: ModelWeights,
  ) {}

  /** Packs token ids for this model; see {@link packBatch}. */
  batch(sequences: readonly ArrayLike<number>[], placements?: readonly KeyPlacement[]): Batch {
    return packBatch(sequences, this.spec, placements);
  }

  /** Records a forward pass without submitting it, so that several can share one submit. */
  record(recorder: Recorder, batch: Batch, request: ForwardRequest = {}): Captured {
    return new ForwardPass(this, recorder, batch, request).run();
  }

  /** Runs a forward pass and returns what it captured, still on the device. */
  async forward(batch: Batch, request: ForwardRequest = {}): Promise<Captured> {
    const recorder = this.gpu.record();
    try {
      const captured = this.record(recorder, batch, request);
      await recorder.submit();
      return captured;
    } finally {
      recorder.close();
    }
  }

  /** Logits `[rows, vocab]` of residual rows `[rows, hidden]`: final norm, then unembedding. */
  unembed(recorder: Recorder, resid: DeviceTensor): DeviceTensor {
    const normed = finalNorm(this, recorder, resid);
    const scores = logits(this, recorder, normed);
    normed.release();
    return scores;
  }

  /** @internal The rotary table with at least this many positions. */
  ropeTable(positions: number): GPUBuffer {
    const largest = this.#ropeTables.at(-1);
    if (largest && largest.positions >= positions) return largest.buffer;
    const room = Math.min(
      this.spec.maxPositions,
      2 ** Math.ceil(Math.log2(Math.max(positions, 256))),
    );
    const table = ropeTable(this.spec, room);
    const buffer = this.gpu.tensorFrom(table, [table.length]).buffer;
    this.#ropeTables.push({ positions: room, buffer });
    return buffer;
  }

  /** Frees the weights that this model owns. Its passes must be submitted. */
  destroy(): void {
    const tables = this.#ropeTables.splice(0).map(({ buffer }) => buffer);
    for (const buffer of [...this.weights.owned.splice(0), ...tables]) {
      this.gpu.buffers.destroy(buffer);
    }
  }
}

export type { Batch, Capture, Edit, KeyPlacement, Positions };
