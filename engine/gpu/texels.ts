/** Scratch textures: on software adapters a kernel loads 16 bytes from one for a third of what they cost from a buffer. */

import type { BufferPool } from "./buffers.ts";
import { sizeClass } from "./buffers.ts";

/** Bytes of a texel: four words. */
export const TEXEL_BYTES = 16;

/** Texels a row of a texture; the shaders repeat this constant. */
export const ROW_TEXELS = 1024;

/** Bytes a row of a texture. */
const ROW_BYTES = ROW_TEXELS * TEXEL_BYTES;

/** The least that is no power of 2. */
const LEAST_ROWS = 3;

/** The most bytes of one texture, where the adapter allows as many rows. */
const MAX_BYTES = 8 << 20;

/** The most bytes of all textures that stay, when one is made for weights: it is a second copy of them … */
const MAX_WEIGHT_BYTES = 2 ** 30;
/** … and when one is made for anything else: keys and adapters' factors are small, and many products wait for them. */
const MAX_KEPT_BYTES = 1.5 * 2 ** 30;

/** Commands that put bytes of a buffer into a texture. */
export interface TexelCopy {
  buffer: GPUBuffer;
  offset: number;
  bytes: number;
  texture: GPUTexture;
  /** The first of the texels that get them (default: the texture's first). */
  first?: number;
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
  /** Of {@link claim}. */
  readonly #claimed = new WeakSet<GPUTexture>();
  /** Of {@link stand}: all, and those that nobody holds. */
  readonly #stand = new WeakSet<GPUTexture>();
  #standing: GPUTexture[] = [];

  constructor(private readonly buffers: BufferPool, limits: { maxTextureDimension2D: number }) {
    this.#highest = limits.maxTextureDimension2D;
    this.largest = Math.min(MAX_BYTES, this.#highest * ROW_BYTES);
  }

  /**
   * A texture with room for so many bytes, or `undefined` where that is more than {@link largest}, or than the memory budget has.
   *
   * @param least where there is no memory for another, a texture that is there already may have less room, but this much; it
   * must be released before anybody else acquires one in this way
   */
  acquire(bytes: number, least?: number): GPUTexture | undefined {
    if (bytes > this.largest) return undefined;
    const height = this.#height(Math.min(sizeClass(bytes), this.largest));
    const texture = this.#free.get(height)?.pop() ?? this.#create(height);
    return texture ?? (least === undefined ? undefined : this.#another(least));
  }

  /** The largest texture that nobody holds, where it has room for so many bytes. */
  #another(bytes: number): GPUTexture | undefined {
    const lists = [...this.#free.values(), this.#standing];
    const [largest] = lists.flat().toSorted((a, b) => b.height - a.height);
    if (!largest || bytesOf(largest) < bytes) return undefined;
    const list = lists.find((list) => list.includes(largest))!;
    return list.splice(list.indexOf(largest), 1)[0];
  }

  /**
   * Sets a texture aside until {@link unstand}: whoever asks for one with a `least` of no more than so many bytes always gets one.
   *
   * @throws {OutOfMemoryError} when there is no memory for it
   */
  stand(bytes: number): GPUTexture {
    const texture = this.claim("texels", bytes);
    this.#standing.push(texture);
    this.#stand.add(texture);
    return texture;
  }

  /** Frees a texture of {@link stand}, which nobody holds. */
  unstand(texture: GPUTexture): void {
    this.#standing = this.#standing.filter((one) => one !== texture);
    this.destroy(texture);
  }

  /** Bytes that a texture with room for so many takes. */
  bytesFor(bytes: number): number {
    return bytesOf({ height: this.#height(bytes) });
  }

  /** Whether the adapter has textures of so many bytes. */
  fits(bytes: number): boolean {
    return Math.ceil(bytes / ROW_BYTES) <= this.#highest;
  }

  /**
   * A texture that {@link fits}, for what lies nowhere else, until {@link destroy}: it counts as a buffer does.
   *
   * @throws {OutOfMemoryError} when there is no memory for it
   */
  claim(label: string, bytes: number): GPUTexture {
    const height = this.#height(bytes);
    this.buffers.take(bytesOf({ height }), label);
    const texture = this.#make(height);
    this.#claimed.add(texture);
    return texture;
  }

  /**
   * A texture that is not for {@link release} but for {@link destroy}; `undefined` where it is too large, or memory is short.
   *
   * @param forWeights weights leave room for others
   */
  create(bytes: number, forWeights = false): GPUTexture | undefined {
    const height = this.#height(bytes);
    const most = forWeights ? MAX_WEIGHT_BYTES : MAX_KEPT_BYTES;
    if (!this.fits(bytes) || this.#keptBytes + bytesOf({ height }) > most) return undefined;
    const texture = this.#create(height);
    if (texture) this.#keptBytes += bytesOf(texture);
    return texture;
  }

  /** Frees a texture that was made by {@link create} or {@link claim}; work already submitted still completes. */
  destroy(texture: GPUTexture): void {
    if (this.#claimed.has(texture)) this.buffers.give(bytesOf(texture));
    else {
      this.#keptBytes -= bytesOf(texture);
      this.buffers.giveSpare(bytesOf(texture));
    }
    this.buffers.gone(texture);
    texture.destroy();
  }

  /**
   * Rows for so many bytes, and no power of 2 where the adapter allows one more: llvmpipe compiles a kernel anew for every mixture of
   * textures whose heights are powers of 2 and others.
   */
  #height(bytes: number): number {
    const rows = Math.max(LEAST_ROWS, Math.ceil(bytes / ROW_BYTES));
    return Number.isInteger(Math.log2(rows)) && rows < this.#highest ? rows + 1 : rows;
  }

  #create(height: number): GPUTexture | undefined {
    return this.buffers.takeSpare(bytesOf({ height })) ? this.#make(height) : undefined;
  }

  #make(height: number): GPUTexture {
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
    if (this.#stand.has(texture)) return void this.#standing.push(texture);
    const list = this.#free.get(texture.height);
    if (list) list.push(texture);
    else this.#free.set(texture.height, [texture]);
  }

  /** Bytes of textures that nobody holds, and that {@link trim} would free. */
  get pooledBytes(): number {
    const textures = this.#free.values().flatMap((list) => list);
    return textures.reduce((sum, texture) => sum + bytesOf(texture), 0);
  }

  /** Frees every texture that nobody holds, but for those that {@link stand}; no recorded commands may still use them. */
  trim(): void {
    for (const texture of this.#free.values().flatMap((list) => list)) {
      this.buffers.giveSpare(bytesOf(texture));
      this.buffers.gone(texture);
      texture.destroy();
    }
    this.#free.clear();
  }
}

/** Whether it is no buffer, and no part of one. */
export function isTexture(x: GPUBuffer | GPUBufferBinding | GPUTexture): x is GPUTexture {
  return "createView" in x;
}

/**
 * A small texture, to be bound where a kernel could write to one and does not. It can be copied to, though nobody does: a
 * texture that cannot is cleared by drawing, after which lavapipe's timestamps leave out the last dispatch.
 */
export function unusedTexture(device: GPUDevice): GPUTexture {
  const usage = 0x2 | 0x8; // COPY_DST | STORAGE_BINDING
  const size = [1, LEAST_ROWS];
  return device.createTexture({ label: "unused", format: "rgba32uint", size, usage });
}

/** Bytes for which a texture of the pool has room. */
export function bytesOf({ height }: Pick<GPUTexture, "height">): number {
  return height * ROW_BYTES;
}

/** Encodes a copy: what is left of the first row, whole rows, then what is left of the last. */
export function encodeTexelCopy(
  encoder: GPUCommandEncoder,
  { buffer, offset, bytes, texture, first = 0 }: TexelCopy,
): void {
  const end = first + bytes / TEXEL_BYTES;
  for (let texel = first; texel < end;) {
    const x = texel % ROW_TEXELS;
    const rows = x === 0 ? Math.floor((end - texel) / ROW_TEXELS) : 0;
    const width = rows > 0 ? ROW_TEXELS : Math.min(ROW_TEXELS - x, end - texel);
    const source = { buffer, offset: offset + TEXEL_BYTES * (texel - first) };
    const origin = [x, Math.floor(texel / ROW_TEXELS)];
    const size = [width, Math.max(1, rows)];
    encoder.copyBufferToTexture({ ...source, bytesPerRow: ROW_BYTES }, { texture, origin }, size);
    texel += width * size[1];
  }
}
