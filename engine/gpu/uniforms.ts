/** Uniform parameters of dispatches. Equal contents share one slot, so a repeated forward pass writes none. */

import { WordMap } from "./word_map.ts";

const SLOT_BYTES = 256; // satisfies every adapter's minUniformBufferOffsetAlignment
const SLOTS = 4096;

/** A parameter block: 32-bit words in the order of the shader's struct. */
export type Params = readonly Param[];

/** A 32-bit word: an unsigned integer, or a float. */
export type Param = { u32: number } | { f32: number };

/** An unsigned word of a parameter block. */
export const u32 = (value: number): Param => ({ u32: value });

/** A float word of a parameter block. */
export const f32 = (value: number): Param => ({ f32: value });

/** Where parameters lie, and a number that no other place has or had. */
export interface UniformSlot {
  id: number;
  binding: GPUBufferBinding;
}

/** Content-addressed slots in one uniform buffer, which is replaced when it is full. */
export class UniformSlots {
  #buffer: GPUBuffer;
  readonly #slots = new WordMap<UniformSlot>();
  #nextId = 0;
  /** What the next block is made in, as words and as floats. */
  #words = new Uint32Array(32);
  #floats = new Float32Array(this.#words.buffer);

  constructor(private readonly device: GPUDevice) {
    this.#buffer = this.#newBuffer();
  }

  /** The slot of these parameters. */
  get(params: Params): UniformSlot {
    const length = this.#encode(params);
    const known = this.#slots.get(this.#words, length);
    if (known) return known;
    if (this.#slots.size === SLOTS) this.#replace();
    const offset = this.#slots.size * SLOT_BYTES;
    this.device.queue.writeBuffer(this.#buffer, offset, this.#words, 0, length);
    const binding = { buffer: this.#buffer, offset, size: 4 * length };
    const slot = { id: this.#nextId++, binding };
    this.#slots.add(this.#words, slot, length);
    return slot;
  }

  /** Makes the words of a block, padded to a multiple of 16 bytes, the size of a WGSL uniform struct; tells how many they are. */
  #encode(params: Params): number {
    const length = Math.ceil(params.length / 4) * 4;
    if (length > this.#words.length) {
      this.#words = new Uint32Array(length);
      this.#floats = new Float32Array(this.#words.buffer);
    }
    for (let i = 0; i < length; i++) {
      const param = params[i];
      if (param === undefined) this.#words[i] = 0;
      else if ("u32" in param) this.#words[i] = param.u32;
      else this.#floats[i] = param.f32;
    }
    return length;
  }

  // The old buffer is not destroyed: recorded commands may still read it; it goes when they do.
  #replace(): void {
    this.#buffer = this.#newBuffer();
    this.#slots.clear();
  }

  #newBuffer(): GPUBuffer {
    const usage = 0x40 | 0x8; // UNIFORM | COPY_DST
    return this.device.createBuffer({ label: "uniforms", size: SLOT_BYTES * SLOTS, usage });
  }
}
