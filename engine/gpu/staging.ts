/**
 * Bytes on their way from files to the device: a few mapped buffers, each filled while the queue copies those before. A
 * file is read straight into them, so that nothing is held twice and no fresh memory is touched but the target's.
 */

import type { Gpu } from "./gpu.ts";
import { encodeTexelCopy, TEXEL_BYTES } from "./texels.ts";

/** Pieces that take turns. */
const PIECES = 4;

/** Bytes of a piece, where there is so much to bring. */
const PIECE_BYTES = 16 << 20;

/** Writes all of `target`. */
export type Fill = (target: Uint8Array<ArrayBuffer>) => Promise<void> | void;

interface Piece {
  buffer: GPUBuffer;
  /** Its memory, once the queue has copied what was in it. */
  mapped: Promise<Uint8Array<ArrayBuffer>>;
}

interface Copy {
  from: number;
  to: GPUBuffer | GPUTexture;
  offset: number;
  bytes: number;
}

/** A ring of pieces. What is put in goes to the device in that order, before whatever is submitted after {@link flush}. */
export class Staging {
  /** The oldest first: it is the first to be free again. */
  readonly #pieces: Piece[] = [];
  #current: Piece | undefined;
  #used = 0;
  #destroyed = false;
  #copies: Copy[] = [];

  /**
   * @param bytes what there is to bring at a time: little takes small pieces
   * @param least the most that will be put in at once, which has to fit into a piece
   */
  constructor(readonly gpu: Gpu, bytes: number, least: number) {
    const share = Math.min(bytes / PIECES, gpu.buffers.remainingBytes / 4 / PIECES, PIECE_BYTES);
    this.pieceBytes = Math.ceil(Math.max(share, least, 256) / 256) * 256;
    const count = Math.min(PIECES, Math.ceil(bytes / this.pieceBytes));
    try {
      for (let i = 0; i < count; i++) {
        const buffer = gpu.buffers.createStaging(this.pieceBytes);
        this.#pieces.push({ buffer, mapped: Promise.resolve(memoryOf(buffer)) });
      }
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** Bytes of a piece. */
  readonly pieceBytes: number;

  /** Bytes that can be put in without a new piece; a whole one when that is less than `unit`. */
  room(unit: number): number {
    const left = this.pieceBytes - this.#used;
    return left < unit ? this.pieceBytes : left;
  }

  /**
   * Brings bytes that fit into a piece, a multiple of 4, to `offset` of a buffer, or of a texture (multiples of 16); waits when all
   * pieces are under way.
   */
  async put(
    to: GPUBuffer | GPUTexture,
    offset: number,
    bytes: number,
    fill: Fill,
  ): Promise<void> {
    if (this.#used + bytes > this.pieceBytes) this.flush();
    const piece = this.#current ??= this.#pieces.shift()!;
    const memory = await this.gpu.orLost(piece.mapped);
    const from = this.#used;
    await fill(memory.subarray(from, from + bytes));
    this.#copies.push({ from, to, offset, bytes });
    this.#used = Math.ceil((from + bytes) / 16) * 16;
  }

  /** Submits what was put in. */
  flush(): void {
    const piece = this.#current;
    if (!piece || this.#copies.length === 0) return;
    piece.buffer.unmap();
    const encoder = this.gpu.device.createCommandEncoder();
    for (const { from, to, offset, bytes } of this.#copies) {
      const { buffer } = piece;
      if ("createView" in to) {
        const first = offset / TEXEL_BYTES;
        encodeTexelCopy(encoder, { buffer, offset: from, bytes, texture: to, first });
      } else encoder.copyBufferToBuffer(buffer, from, to, offset, bytes);
    }
    this.gpu.submit(encoder.finish());
    this.#copies = [];
    this.#used = 0;
    this.#current = undefined;
    piece.mapped = this.gpu.waits.ask(() => this.#map(piece.buffer));
    piece.mapped.catch(() => {}); // whoever waits for it gets the error
    this.#pieces.push(piece);
  }

  async #map(buffer: GPUBuffer): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#destroyed) throw new Error("Cannot fill a piece that was given up");
    await buffer.mapAsync(2 /* WRITE */);
    return memoryOf(buffer);
  }

  /** Frees the pieces; copies that were submitted still complete. */
  destroy(): void {
    this.#destroyed = true;
    const { buffers } = this.gpu;
    for (const { buffer } of this.#pieces.splice(0)) buffers.destroy(buffer);
    if (this.#current) buffers.destroy(this.#current.buffer);
    this.#current = undefined;
  }
}

function memoryOf(buffer: GPUBuffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer.getMappedRange());
}
