/** Activations of a pass: buffers from the pool that go back when they are done with, or when the pass fails. */

import type { Gpu } from "./gpu/gpu.ts";
import { isTexture } from "./gpu/texels.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";

/** Buffers and textures that are in use at this point of a pass. */
export class Scratch {
  readonly #held = new Set<GPUBuffer | GPUTexture>();

  constructor(private readonly gpu: Gpu, private readonly tokens: number) {}

  /** A buffer for `[tokens, width]` f32, contents undefined. */
  take(width: number): GPUBuffer {
    const buffer = this.gpu.buffers.acquire(this.tokens * width * 4);
    this.#held.add(buffer);
    return buffer;
  }

  /** A texture for `[tokens, width]` f32, where there is room for one. */
  takeTexels(width: number): GPUTexture | undefined {
    const texture = this.gpu.texels.acquire(this.tokens * width * 4);
    if (texture) this.#held.add(texture);
    return texture;
  }

  /** Counts a tensor among those in use. */
  hold(tensor: DeviceTensor): DeviceTensor {
    this.#held.add(tensor.buffer);
    return tensor;
  }

  /** Gives one back; nothing happens to one that is not in use. */
  drop(one: GPUBuffer | GPUTexture): void {
    if (!this.#held.delete(one)) return;
    if (isTexture(one)) this.gpu.texels.release(one);
    else this.gpu.buffers.release(one);
  }

  /** Counts a buffer no more: it is somebody else's now. */
  keep(buffer: GPUBuffer): void {
    this.#held.delete(buffer);
  }

  /** Gives everything back. */
  dropAll(): void {
    for (const one of this.#held) this.drop(one);
  }
}
