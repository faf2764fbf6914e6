/** Device memory: an account of it, and pools that hand the same buffers out again. */

import { OutOfMemoryError } from "../errors.ts";
import { formatBytes } from "../format.ts";

const USAGE = 0x80 | 0x4 | 0x8; // STORAGE | COPY_SRC | COPY_DST

/** Sizes are multiples of this. */
const MULTIPLE = 256;

/** Smallest buffer; binding sizes are multiples of 4, and tiny ones are not worth telling apart. */
const MIN_BYTES = 256;

/**
 * Hands out storage buffers. A released buffer is given again to a request of its size class.
 *
 * A pooled buffer may be released while commands that use it are recorded and not yet submitted: whoever gets it
 * next records later, so the order on the queue is right. Host writes are not ordered that way, so buffers that the
 * host fills (`upload`) come from a pool of their own and return only after the submit.
 */
export class BufferPool {
  /** Bytes allocated and not destroyed. */
  allocatedBytes = 0;
  /** The highest that {@link allocatedBytes} has been. */
  peakBytes = 0;
  /** Recorders with commands that are not yet submitted. */
  openRecorders = 0;

  /** Of {@link takeSpare}. */
  #spareBytes = 0;
  #free = new Map<string, GPUBuffer[]>();
  #classOf = new WeakMap<GPUBuffer, string>();

  constructor(
    readonly device: GPUDevice,
    private readonly options: {
      limits: { maxBufferSize: number; maxStorageBufferBindingSize: number };
      /** The most bytes that may be allocated at once; the adapter itself does not tell. */
      budget: number;
      /** Called with each buffer and texture that is gone for good. */
      onDestroy: (resource: GPUBuffer | GPUTexture) => void;
      /** Called by {@link trim}: others that keep memory free it too. */
      onTrim: () => void;
      /** Bytes that {@link onTrim} would free. */
      kept?: () => number;
    },
  ) {}

  /** The most bytes that may be allocated at once. */
  get budget(): number {
    return this.options.budget;
  }

  /** Bytes that the budget still allows. */
  get remainingBytes(): number {
    return this.options.budget - this.allocatedBytes;
  }

  /** Bytes in the pools, of buffers and textures that nobody holds. */
  get pooledBytes(): number {
    const buffers = this.#free.values().flatMap((list) => list);
    return buffers.reduce((sum, { size }) => sum + size, this.options.kept?.() ?? 0);
  }

  /** What the budget still allows, with what lies in the pools and could be freed. */
  get unusedBytes(): number {
    return this.remainingBytes + this.pooledBytes;
  }

  /** Frees the pools where they hold more than the budget still allows: work of other sizes than the last may need it. */
  makeRoom(): void {
    if (this.pooledBytes > this.remainingBytes) this.trim();
  }

  /** A buffer of at least `bytes`, contents undefined, for `activation` or `upload`. */
  acquire(bytes: number, kind: "activation" | "upload" = "activation"): GPUBuffer {
    const size = Math.max(Math.min(sizeClass(bytes), this.#largest()), bytes);
    const key = `${kind}/${size}`;
    const reused = this.#free.get(key)?.pop();
    if (reused) return reused;
    const buffer = this.create(`${kind} ${size}`, size);
    this.#classOf.set(buffer, key);
    return buffer;
  }

  /** Gives a buffer from {@link acquire} back; one from {@link create} is destroyed. */
  release(buffer: GPUBuffer): void {
    const key = this.#classOf.get(buffer);
    if (key === undefined) return this.destroy(buffer);
    const list = this.#free.get(key);
    if (list) list.push(buffer);
    else this.#free.set(key, [buffer]);
  }

  /** A buffer outside the pools, for weights and other long-lived data; `bytes` is rounded up to a multiple of 256. */
  create(label: string, bytes: number): GPUBuffer {
    const size = Math.max(Math.ceil(bytes / MULTIPLE) * MULTIPLE, MULTIPLE);
    const most = this.#largest();
    if (size > most) {
      throw new OutOfMemoryError(
        `Cannot allocate ${formatBytes(size)} for ${label}: the adapter binds at most ${
          formatBytes(most)
        } at once`,
      );
    }
    this.take(size, label);
    return this.device.createBuffer({ label, size, usage: USAGE });
  }

  /** A mapped buffer from which bytes are copied to others; it counts as the others do. */
  createStaging(bytes: number): GPUBuffer {
    this.take(bytes, "staging");
    const usage = 0x2 | 0x4; // MAP_WRITE | COPY_SRC
    return this.device.createBuffer({
      label: "staging",
      size: bytes,
      usage,
      mappedAtCreation: true,
    });
  }

  /** Frees a buffer for good. Work already submitted still completes. */
  destroy(buffer: GPUBuffer): void {
    this.give(buffer.size);
    this.gone(buffer);
    buffer.destroy();
  }

  /** Frees every pooled buffer that nobody holds; does nothing while recorded commands may still use them. */
  trim(): void {
    if (this.openRecorders > 0) return;
    for (const list of this.#free.values()) for (const buffer of list) this.destroy(buffer);
    this.#free.clear();
    this.options.onTrim();
  }

  /**
   * Counts memory outside the pools that work goes faster with, as long as all of it is a small part of what the budget has left:
   * it cannot be freed while commands are recorded, when other work may need it.
   */
  takeSpare(bytes: number): boolean {
    if (this.#spareBytes + bytes > (this.remainingBytes + this.#spareBytes) / 8) return false;
    this.#spareBytes += bytes;
    this.allocatedBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.allocatedBytes);
    return true;
  }

  /** Uncounts what {@link takeSpare} counted. */
  giveSpare(bytes: number): void {
    this.#spareBytes -= bytes;
    this.allocatedBytes -= bytes;
  }

  /**
   * Takes bytes from the budget, for something that is made elsewhere.
   *
   * @throws {OutOfMemoryError} when it has not so many left
   */
  take(size: number, label: string): void {
    const { budget } = this.options;
    if (this.allocatedBytes + size > budget) this.trim();
    if (this.allocatedBytes + size > budget) {
      throw new OutOfMemoryError(
        `Cannot allocate ${formatBytes(size)} for ${label}: ` +
          `${formatBytes(this.allocatedBytes)} of the memory budget of ${
            formatBytes(budget)
          } are in use`,
      );
    }
    this.allocatedBytes += size;
    this.peakBytes = Math.max(this.peakBytes, this.allocatedBytes);
  }

  /** Gives back what {@link take} took. */
  give(size: number): void {
    this.allocatedBytes -= size;
  }

  /** Tells that a resource is gone for good: a buffer of {@link destroy}, or a texture of others. */
  gone(resource: GPUBuffer | GPUTexture): void {
    this.options.onDestroy(resource);
  }

  /** The largest buffer that can be bound whole, in bytes. */
  #largest(): number {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.options.limits;
    return Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / MULTIPLE) * MULTIPLE;
  }
}

/** Sizes are rounded up to an eighth of their power of two, so that batches of nearly one size share buffers. */
export function sizeClass(bytes: number): number {
  if (bytes <= MIN_BYTES) return MIN_BYTES;
  const step = 2 ** Math.max(8, Math.floor(Math.log2(bytes)) - 3);
  return Math.ceil(bytes / step) * step;
}
