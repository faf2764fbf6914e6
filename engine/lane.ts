/**
 * A pass that goes through the layers one at a time, so that many of them can use a layer's weights before the next layer's
 * are brought. In between its residuals are kept on the device, or on the host where there are too many.
 */

import type { Batch } from "./batch.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { DeviceTensor } from "./gpu/tensor.ts";
import type { Captured } from "./hook_points.ts";
import type { KvCache } from "./kv_cache.ts";
import type { Transformer } from "./transformer.ts";

/** Residuals `[tokens, hidden]`: on the device, on the host, or on their way there. */
type Kept = DeviceTensor | Float32Array<ArrayBuffer> | Promise<Float32Array<ArrayBuffer>>;

/**
 * Has residuals wait on the host when those on the device are more than `most` bytes; the first stay. To be called after each
 * step.
 */
export function spillOver(lanes: readonly Pick<Lane, "bytes" | "spill">[], most: number): void {
  let bytes = 0;
  for (const lane of lanes) {
    bytes += lane.bytes;
    if (bytes > most) lane.spill();
  }
}

/** One batch on its way through a model. */
export class Lane {
  private constructor(
    readonly model: Transformer,
    readonly batch: Batch,
    private readonly cache: KvCache | undefined,
    /** The layer that comes next. */
    private layer: number,
    private kept: Kept,
  ) {}

  /** A lane before the first layer: the embedding. */
  static async embed(model: Transformer, batch: Batch): Promise<Lane> {
    const captured = await model.forward(batch, { capture: ["hook_embed"] });
    return new Lane(model, batch, undefined, 0, captured.get("hook_embed"));
  }

  /** A lane that begins before a layer with given residuals. */
  static from(
    model: Transformer,
    batch: Batch,
    start: { layer: number; resid: Float32Array<ArrayBuffer> },
    cache?: KvCache,
  ): Lane {
    return new Lane(model, batch, cache, start.layer, start.resid);
  }

  /** Bytes that its residuals take on the device. */
  get bytes(): number {
    return this.kept instanceof DeviceTensor ? this.kept.buffer.size : 0;
  }

  /** The same residuals before the next layer of another model. */
  async fork(model: Transformer): Promise<Lane> {
    let kept = await this.kept;
    if (kept instanceof DeviceTensor) {
      const { gpu } = model;
      const copy = gpu.tensor(kept.shape);
      const recorder = gpu.record();
      recorder.copy(kept.buffer, 0, copy.buffer, 0, 4 * kept.length);
      await recorder.submit();
      kept = copy;
    }
    return new Lane(model, this.batch, this.cache, this.layer, kept);
  }

  /**
   * Runs the next layer.
   *
   * @param use records what is done with the residuals after it
   */
  async step(use?: (recorder: Recorder, resid: DeviceTensor) => void): Promise<void> {
    const hook = `blocks.${this.layer}.hook_resid_post`;
    const before = this.kept;
    await this.#record((recorder, resid) => {
      const start = { layer: this.layer, resid };
      const request = { start, cache: this.cache, capture: [hook], partial: true };
      const after = this.model.record(recorder, this.batch, request).get(hook);
      this.kept = after;
      use?.(recorder, after);
    });
    if (before instanceof DeviceTensor) before.release();
    this.layer++;
  }

  /** Begins to bring the residuals to the host, and gives their memory on the device back. */
  spill(): void {
    const { kept } = this;
    if (!(kept instanceof DeviceTensor)) return;
    const read = kept.read();
    read.catch(() => {}); // the next step gets the error
    this.kept = read;
    kept.release();
  }

  /** After the last layer: what the final norm and the unembedding give. */
  async tail<T>(capture: string[], use: (recorder: Recorder, captured: Captured) => T): Promise<T> {
    return await this.#record((recorder, resid) => {
      const start = { layer: this.layer, resid };
      const request = { start, cache: this.cache, capture };
      return use(recorder, this.model.record(recorder, this.batch, request));
    });
  }

  /** Gives its memory back. */
  release(): void {
    if (this.kept instanceof DeviceTensor) this.kept.release();
  }

  async #record<T>(record: (recorder: Recorder, resid: DeviceTensor) => T): Promise<T> {
    const { gpu, spec } = this.model;
    const kept = await this.kept;
    const recorder = gpu.record();
    try {
      const shape = [this.batch.tokens, spec.hiddenSize];
      const resid = kept instanceof DeviceTensor
        ? kept
        : new DeviceTensor(gpu, recorder.upload(kept), shape);
      const result = record(recorder, resid);
      await recorder.submit();
      return result;
    } finally {
      recorder.close();
    }
  }
}
