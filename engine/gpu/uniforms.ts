/** Uniform parameters of dispatches. Equal contents share one slot, so a repeated forward pass writes none. */

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

/** Content-addressed slots in one uniform buffer, which is replaced when it is full. */
export class UniformSlots {
  #buffer: GPUBuffer;
  #slots = new Map<string, number>();
  #generation = 0;

  constructor(private readonly device: GPUDevice) {
    this.#buffer = this.#newBuffer();
  }

  /** The binding of these parameters, and a key that names its place. */
  get(params: Params): { key: string; binding: GPUBufferBinding } {
    const words = encode(params);
    const content = words.join();
    let slot = this.#slots.get(content);
    if (slot === undefined) {
      if (this.#slots.size === SLOTS) this.#replace();
      slot = this.#slots.size;
      this.#slots.set(content, slot);
      this.device.queue.writeBuffer(this.#buffer, slot * SLOT_BYTES, words);
    }
    return {
      key: `${this.#generation}.${slot}`,
      binding: { buffer: this.#buffer, offset: slot * SLOT_BYTES, size: words.byteLength },
    };
  }

  // The old buffer is not destroyed: recorded commands may still read it; it goes when they do.
  #replace(): void {
    this.#buffer = this.#newBuffer();
    this.#slots.clear();
    this.#generation++;
  }

  #newBuffer(): GPUBuffer {
    const usage = 0x40 | 0x8; // UNIFORM | COPY_DST
    return this.device.createBuffer({ label: "uniforms", size: SLOT_BYTES * SLOTS, usage });
  }
}

/** Words padded to a multiple of 16 bytes, the size of a WGSL uniform struct. */
function encode(params: Params): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(params.length / 4) * 4);
  const floats = new Float32Array(words.buffer);
  params.forEach((param, i) => {
    if ("u32" in param) words[i] = param.u32;
    else floats[i] = param.f32;
  });
  return words;
}
