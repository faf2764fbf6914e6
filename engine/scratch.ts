/** Activations of a pass: buffers from the pool that go back when they are done with, or when the pass fails. */

import type { Gpu } from "./gpu/gpu.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";

/** Buffers that are in use at this point of a pass. */
export class Scratch {
  readonly #held = new Set<GPUBuffer>();

  constructor(private readonly gpu: Gpu, private readonly tokens: number) {}

  /** A buffer for `[tokens, width]` f32, contents undefined. */
  take(width: number): GPUBuffer {
    const buffer = this.gpu.buffers.acquire(this.tokens * width * 4);
    this.#held.add(buffer);
    return buffer;
  }

  /** Counts a tensor among those in use. */
  hold(tensor: DeviceTensor): DeviceTensor {
    this.#held.add(tensor.buffer);
    return tensor;
  }

  /** Gives a buffer back; nothing happens to one that is not in use. */
  drop(buffer: GPUBuffer): void {
    if (this.#held.delete(buffer)) this.gpu.buffers.release(buffer);
  }

  /** Counts a buffer no more: it is somebody else's now. */
  keep(buffer: GPUBuffer): void {
    this.#held.delete(buffer);
  }

  /** Gives everything back. */
  dropAll(): void {
    for (const buffer of this.#held) this.drop(buffer);
  }
}
