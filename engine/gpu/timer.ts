/** Time on the device, between the first dispatch of a recorder and the end of its last. */

import type { Gpu } from "./gpu.ts";

/** Bytes of two timestamps. */
const BYTES = 16;

/**
 * Two timestamps around what a {@link Recorder} dispatches: set it as the recorder's `timer`, submit, then {@link read}.
 * For devices with `timestamp-query` only; see {@link GpuTimer.of}.
 */
export class GpuTimer {
  readonly #set: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  private constructor(private readonly gpu: Gpu) {
    const { device } = gpu;
    this.#set = device.createQuerySet({ type: "timestamp", count: 2 });
    const usage = 0x200 | 0x4; // QUERY_RESOLVE | COPY_SRC
    this.#resolved = device.createBuffer({ label: "timestamps", size: BYTES, usage });
    this.#staging = device.createBuffer({ label: "timestamps", size: BYTES, usage: 0x1 | 0x8 });
  }

  /** A timer, or `undefined` where the device has no timestamps. */
  static of(gpu: Gpu): GpuTimer | undefined {
    return gpu.device.features.has("timestamp-query") ? new GpuTimer(gpu) : undefined;
  }

  /** @internal What the first and the last compute pass of a command buffer write. */
  writes(first: boolean, last: boolean): GPUComputePassTimestampWrites | undefined {
    if (!first && !last) return undefined;
    return {
      querySet: this.#set,
      ...(first && { beginningOfPassWriteIndex: 0 }),
      ...(last && { endOfPassWriteIndex: 1 }),
    };
  }

  /** @internal Ends the command buffer. */
  resolve(encoder: GPUCommandEncoder): void {
    encoder.resolveQuerySet(this.#set, 0, 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, BYTES);
  }

  /** Waits for the submitted commands: the nanoseconds that they took, as the backend counts them. */
  async read(): Promise<number> {
    await this.gpu.orLost(this.gpu.waits.ask(() => this.#staging.mapAsync(1)));
    const [begin, end] = new BigUint64Array(this.#staging.getMappedRange().slice(0));
    this.#staging.unmap();
    return Number(end - begin);
  }

  /** Frees it. */
  destroy(): void {
    this.#set.destroy();
    this.#resolved.destroy();
    this.#staging.destroy();
  }
}
