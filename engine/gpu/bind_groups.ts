/** What a dispatch binds: made once for each kernel with the same buffers and parameters. */

import type { Kernel } from "./kernel.ts";
import type { Bound } from "./recorder.ts";
import { type Params, UniformSlots } from "./uniforms.ts";
import { WordMap } from "./word_map.ts";

/** Bind groups that are kept: a few passes' worth. */
const MOST = 1 << 14;

/** Marks a resource of which a part is bound, whose place then follows. */
const PART = 2 ** 31;

/** A group, and the resources that it binds, by their numbers. */
interface Kept {
  group: GPUBindGroup;
  ids: readonly number[];
}

/** The bind groups of a device. Equal bindings share one, so a repeated forward pass makes none. */
export class BindGroups {
  readonly #uniforms: UniformSlots;
  readonly #groups = new WordMap<Kept>();
  readonly #ids = new WeakMap<GPUBuffer | GPUTexture, number>();
  #nextId = 0;
  /** Resources that are gone, and may still be bound by groups that are kept. */
  readonly #gone = new Set<number>();
  /** What the next list of words is made in. */
  #words = new Uint32Array(64);

  constructor(private readonly device: GPUDevice) {
    this.#uniforms = new UniformSlots(device);
  }

  /** The one of these buffers, at bindings 0, 1, …, and parameters, which come after the last. */
  get(
    kernel: Kernel,
    pipeline: GPUComputePipeline,
    buffers: readonly Bound[],
    params: Params,
  ): GPUBindGroup {
    const uniform = this.#uniforms.get(params);
    const length = this.#encode(kernel, buffers, uniform.id);
    const known = this.#groups.get(this.#words, length);
    if (known) return known.group;
    this.#purge();
    const resources = buffers.map((bound): GPUBindingResource =>
      "buffer" in bound ? bound : "createView" in bound ? bound.createView() : { buffer: bound }
    );
    resources.push(uniform.binding);
    const group = this.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
    if (this.#groups.size >= MOST) this.#groups.clear();
    const ids = buffers.map((bound) => this.#idOf("buffer" in bound ? bound.buffer : bound));
    this.#groups.add(this.#words, { group, ids }, length);
    return group;
  }

  /** Lets go, before the next one is made, of those that bind what is gone; others keep theirs. */
  forget(resource: GPUBuffer | GPUTexture): void {
    const id = this.#ids.get(resource);
    if (id !== undefined) this.#gone.add(id);
  }

  #purge(): void {
    if (this.#gone.size === 0) return;
    this.#groups.forget(({ ids }) => ids.some((id) => this.#gone.has(id)));
    this.#gone.clear();
  }

  /** Makes the words of a group, and tells how many they are. */
  #encode(kernel: Kernel, buffers: readonly Bound[], uniform: number): number {
    // A part of a buffer is five words.
    const room = 2 + 5 * buffers.length;
    if (room > this.#words.length) this.#words = new Uint32Array(2 * room);
    const words = this.#words;
    words[0] = kernel.id;
    words[1] = uniform;
    let length = 2;
    for (const bound of buffers) {
      if ("buffer" in bound) {
        words[length++] = PART + this.#idOf(bound.buffer);
        for (const bytes of [bound.offset ?? 0, bound.size ?? 2 ** 53]) {
          words[length++] = bytes;
          words[length++] = bytes / 2 ** 32;
        }
      } else words[length++] = this.#idOf(bound);
    }
    return length;
  }

  #idOf(resource: GPUBuffer | GPUTexture): number {
    let id = this.#ids.get(resource);
    if (id === undefined) this.#ids.set(resource, id = this.#nextId++);
    return id;
  }
}
