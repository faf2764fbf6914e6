/** A tensor on the device. Above the engine it is a handle: only the engine touches the buffer in it. */

import type { Gpu } from "./gpu.ts";

/** Row-major f32 (or u32) data on the device. */
export class DeviceTensor {
  #released = false;

  constructor(
    readonly gpu: Gpu,
    readonly buffer: GPUBuffer,
    /** Sizes of the dimensions, in elements. */
    readonly shape: readonly number[],
  ) {}

  /** Elements in all. */
  get length(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }

  /** Brings the values back as f32. Several tensors share one wait with {@link Gpu.read}. */
  async read(): Promise<Float32Array<ArrayBuffer>> {
    const [data] = await this.gpu.read([this]);
    return new Float32Array(data);
  }

  /** Gives the buffer back to the pool. The handle must not be used afterwards. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.gpu.buffers.release(this.buffer);
  }
}
