/** Keys and values that outlive a forward pass. */

import { OutOfMemoryError } from "./errors.ts";
import type { Gpu } from "./gpu/gpu.ts";
import { KeyTexels } from "./key_texels.ts";
import type { ModelSpec } from "./model_spec.ts";

/**
 * Rows of keys and values `[capacity, kvHeads · headDim]` f32 for a range of layers. Sequences take runs of rows with
 * {@link reserve}; several may read one prefix (see `KeyPlacement`).
 */
export class KvCache {
  #keys: GPUBuffer[] = [];
  #values: GPUBuffer[] = [];
  #used = 0;
  /** The same in textures, where there are such. */
  readonly texels: KeyTexels | undefined;

  constructor(
    readonly gpu: Gpu,
    spec: ModelSpec,
    readonly capacity: number,
    /** First layer that is kept; earlier ones are not part of what the cache continues. */
    readonly firstLayer = 0,
  ) {
    const width = spec.kvHeads * spec.headDim;
    const bytes = capacity * width * 4;
    try {
      for (let layer = firstLayer; layer < spec.layers; layer++) {
        this.#keys.push(gpu.buffers.create(`keys of layer ${layer}`, bytes));
        this.#values.push(gpu.buffers.create(`values of layer ${layer}`, bytes));
      }
    } catch (error) {
      this.destroy();
      throw error;
    }
    this.texels = KeyTexels.of(gpu, spec.layers - firstLayer, capacity, width);
  }

  /** The first of `rows` unused rows. */
  reserve(rows: number): number {
    const start = this.#used;
    if (start + rows > this.capacity) {
      throw new OutOfMemoryError(
        `Cannot keep ${rows} more tokens: the key/value cache has ${start} of ${this.capacity} rows in use`,
      );
    }
    this.#used += rows;
    return start;
  }

  /** Gives back every row from `start` on. */
  rewind(start: number): void {
    this.#used = Math.min(this.#used, start);
  }

  /** The keys and values of a layer, or `undefined` when it is not kept. */
  layer(layer: number): { k: GPUBuffer; v: GPUBuffer } | undefined {
    const i = layer - this.firstLayer;
    return i < 0 ? undefined : { k: this.#keys[i], v: this.#values[i] };
  }

  /** The keys and values of the layers that are kept. */
  layers(): { k: GPUBuffer; v: GPUBuffer }[] {
    return this.#keys.map((k, i) => ({ k, v: this.#values[i] }));
  }

  /** Frees the memory. */
  destroy(): void {
    for (const buffer of [...this.#keys, ...this.#values]) this.gpu.buffers.destroy(buffer);
    this.#keys = [];
    this.#values = [];
    this.texels?.destroy();
  }
}
