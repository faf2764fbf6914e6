/** Scratch textures: on software adapters a kernel loads 16 bytes from one for a third of what they cost from a buffer. */

import type { BufferPool } from "./buffers.ts";
import { sizeClass } from "./buffers.ts";

/** Bytes of a texel: four words. */
export const TEXEL_BYTES = 16;

/** Texels a row of a texture; the shaders repeat this constant. */
export const ROW_TEXELS = 1024;

/** Bytes a row of a texture. */
const ROW_BYTES = ROW_TEXELS * TEXEL_BYTES;

/** The most bytes of one texture, where the adapter allows as many rows. */
const MAX_BYTES = 8 << 20;

/** The most bytes of all textures that stay: they are a second copy of weights. */
const MAX_KEPT_BYTES = 2 ** 30;

/** Commands that put bytes of a buffer into a texture, from its first texel on. */
export interface TexelCopy {
  buffer: GPUBuffer;
  offset: number;
  bytes: number;
  texture: GPUTexture;
}

/**
 * Hands out textures of format `rgba32uint`, {@link ROW_TEXELS} wide. As with {@link BufferPool}, one may be released while
 * commands that use it are recorded and not yet submitted. They count against the memory budget, of which they never take
 * more than a part: kernels can do without.
 */
export class TexelPool {
  /** The most bytes of one texture. */
  readonly largest: number;
  readonly #highest: number;
  #free = new Map<number, GPUTexture[]>();
  #keptBytes = 0;

  constructor(private readonly buffers: BufferPool, limits: { maxTextureDimension2D: number }) {
    this.#highest = limits.maxTextureDimension2D;
    this.largest = Math.min(MAX_BYTES, this.#highest * ROW_BYTES);
  }

  /** A texture with room for so many bytes, at most {@link largest}, or `undefined` where the memory budget is too small for it. */
  acquire(bytes: number): GPUTexture | undefined {
    const height = Math.ceil(Math.min(sizeClass(bytes), this.largest) / ROW_BYTES);
    return this.#free.get(height)?.pop() ?? this.#create(height);
  }

  /** A texture that is not for {@link release} but for {@link destroy}; `undefined` where it is too large, or memory is short. */
  create(bytes: number): GPUTexture | undefined {
    const height = Math.max(1, Math.ceil(bytes / ROW_BYTES));
    if (height > this.#highest || this.#keptBytes + height * ROW_BYTES > MAX_KEPT_BYTES) {
      return undefined;
    }
    const texture = this.#create(height);
    if (texture) this.#keptBytes += height * ROW_BYTES;
    return texture;
  }

  /** Frees a texture that was made by {@link create}; work already submitted still completes. */
  destroy(texture: GPUTexture): void {
    this.#keptBytes -= texture.height * ROW_BYTES;
    this.buffers.giveSpare(texture.height * ROW_BYTES);
    texture.destroy();
  }

  #create(height: number): GPUTexture | undefined {
    if (!this.buffers.takeSpare(height * ROW_BYTES)) return undefined;
    const usage = 0x2 | 0x8; // COPY_DST | STORAGE_BINDING
    const size = [ROW_TEXELS, height];
    return this.buffers.device.createTexture({
      label: "texels",
      format: "rgba32uint",
      size,
      usage,
    });
  }

  /** Gives a texture back. */
  release(texture: GPUTexture): void {
    const list = this.#free.get(texture.height);
    if (list) list.push(texture);
    else this.#free.set(texture.height, [texture]);
  }

  /** Bytes of textures that nobody holds. */
  get pooledBytes(): number {
    const textures = this.#free.values().flatMap((list) => list);
    return textures.reduce((sum, { height }) => sum + height * ROW_BYTES, 0);
  }

  /** Frees every texture that nobody holds; no recorded commands may still use them. */
  trim(): void {
    for (const texture of this.#free.values().flatMap((list) => list)) {
      this.buffers.giveSpare(texture.height * ROW_BYTES);
      texture.destroy();
    }
    this.#free.clear();
  }
}

/** Encodes a copy: whole rows, then what is left of the last. */
export function encodeTexelCopy(
  encoder: GPUCommandEncoder,
  { buffer, offset, bytes, texture }: TexelCopy,
): void {
  const rows = Math.floor(bytes / ROW_BYTES);
  const rest = bytes - rows * ROW_BYTES;
  const source = (row: number) => ({
    buffer,
    offset: offset + row * ROW_BYTES,
    bytesPerRow: ROW_BYTES,
  });
  if (rows > 0) {
    encoder.copyBufferToTexture(source(0), { texture }, [ROW_TEXELS, rows]);
  }
  if (rest > 0) {
    const size = [rest / TEXEL_BYTES, 1];
    encoder.copyBufferToTexture(source(rows), { texture, origin: [0, rows] }, size);
  }
}
