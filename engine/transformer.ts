/** A decoder-only transformer on the device, and what may be asked of a forward pass. */

import { type Batch, type KeyPlacement, packBatch, type Positions } from "./batch.ts";
import { ForwardPass } from "./forward_pass.ts";
import type { Gpu } from "./gpu/gpu.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { finalNorm, unembed } from "./head.ts";
import { Captured } from "./hook_points.ts";
import type { Capture, ComponentEdit, Edit, HookEdit, HookName } from "./hooks.ts";
import type { KvCache } from "./kv_cache.ts";
import type { ModelSpec, RopeSpec } from "./model_spec.ts";
import { ropeTable } from "./rope.ts";
import type { ModelWeights } from "./weights/model_weights.ts";

/** What a forward pass shall do besides running. It stops after the last hook that is captured. */
export interface ForwardRequest {
  capture?: readonly (HookName | Capture)[];
  edits?: readonly HookEdit[];
  /** Keys and values go here, at the rows that the batch's placements name. */
  cache?: KvCache;
  /** Token ids `[tokens]` u32 on the device, in the place of the batch's own; below the vocabulary's size. */
  ids?: GPUBuffer;
  /**
   * Begin at a layer with given residuals `[tokens, hidden]` instead of the embedding. The first hooks are then the
   * `hook_resid_post` of the layer before and the `hook_resid_pre` of this one; at `layers`, only the former.
   */
  start?: { layer: number; resid: DeviceTensor };
  /** End after the last hook that is captured, though the cache does not have the keys of the layers after it then. */
  partial?: boolean;
}

/** A model that can run. Made by `loadModel` of `models/`. */
export class Transformer {
  /** Of one kind of rotation each larger than the one before, which recorded commands may still use. */
  #ropeTables: { rope: RopeSpec; positions: number; buffer: GPUBuffer }[] = [];

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

  /** Final norm, then unembedding, of residual rows `[rows, hidden]`: `[rows, vocab]`, without the final softcap. */
  unembed(recorder: Recorder, resid: DeviceTensor): DeviceTensor {
    const normed = finalNorm(this, recorder, resid);
    const scores = unembed(this, recorder, normed);
    normed.release();
    return scores;
  }

  /**
   * Begins to bring the weights of a layer where that takes nothing from the layer before, whose passes may still be to come.
   * Does nothing for weights that are on the device.
   */
  prefetch(layer: number): void {
    const stages = (layer: number) => this.weights.blocks[layer]?.stages ?? [];
    for (const stage of stages(layer)) {
      if (stages(layer - 1).some((before) => before.sharesSlotWith(stage))) continue;
      stage.bring().catch(() => {}); // the pass that needs it gets the error
    }
  }

  /** @internal A rotary table with at least this many positions. */
  ropeTable(rope: RopeSpec, positions: number): GPUBuffer {
    const largest = this.#ropeTables.findLast((table) => table.rope === rope);
    if (largest && largest.positions >= positions) return largest.buffer;
    const room = Math.min(
      this.spec.maxPositions,
      2 ** Math.ceil(Math.log2(Math.max(positions, 256))),
    );
    const table = ropeTable(rope, room);
    const buffer = this.gpu.tensorFrom(table, [table.length]).buffer;
    this.#ropeTables.push({ rope, positions: room, buffer });
    return buffer;
  }

  /** Frees the weights that this model owns. Its passes must be submitted. */
  destroy(): void {
    const tables = this.#ropeTables.splice(0).map(({ buffer }) => buffer);
    for (const buffer of [...this.weights.owned.splice(0), ...tables]) {
      this.gpu.buffers.destroy(buffer);
    }
    for (const texture of this.weights.textures.splice(0)) this.gpu.texels.destroy(texture);
    this.weights.stream?.destroy();
  }
}

export { Captured };
export type { Batch, Capture, ComponentEdit, Edit, HookEdit, KeyPlacement, Positions };
