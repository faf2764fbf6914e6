/**
 * A cache's keys and values in textures, for decoding on software adapters. The buffers have all of them; the textures have what was
 * brought there last, some steps ago, and know which rows that is.
 */

import type { Batch } from "./batch.ts";
import type { Gpu } from "./gpu/gpu.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { keysToTexels } from "./ops/attention_decode.ts";

/** Rows of a sequence that may be missing before all are brought: as many as a round of decoding writes. */
const MOST_MISSING = 16;

/** Keys and values of a layer, in buffers or in textures. */
interface Rows<T> {
  k: T;
  v: T;
}

/** The textures of all layers that a cache keeps. */
export class KeyTexels {
  readonly #held: Uint8Array;
  /** Where runs of held rows that begin at a row are known to go on to. */
  readonly #ends = new Map<number, number>();

  private constructor(
    private readonly gpu: Gpu,
    private readonly width: number,
    readonly layers: readonly Rows<GPUTexture>[],
    capacity: number,
  ) {
    this.#held = new Uint8Array(capacity);
  }

  /** Textures for `capacity` rows of `width` numbers; nothing where loads from them are not faster, or memory is short. */
  static of(gpu: Gpu, layers: number, capacity: number, width: number): KeyTexels | undefined {
    if (gpu.profile !== "software") return undefined;
    const made: GPUTexture[] = [];
    for (let i = 0; i < 2 * layers; i++) {
      const texture = gpu.texels.create(capacity * width * 4);
      if (!texture) {
        for (const one of made) gpu.texels.destroy(one);
        return undefined;
      }
      made.push(texture);
    }
    const pairs = Array.from(
      { length: layers },
      (_, i) => ({ k: made[2 * i], v: made[2 * i + 1] }),
    );
    return new KeyTexels(gpu, width, pairs, capacity);
  }

  /**
   * Notes that buffers get new rows.
   *
   * @param both whether the textures get them too
   */
  written(rows: Iterable<number>, both = false): void {
    for (const row of rows) {
      // What is held and written again is another sequence's: rare enough to forget everything.
      if (this.#held[row] && !both) this.#ends.clear();
      this.#held[row] = both ? 1 : 0;
    }
  }

  /**
   * Tells how many keys that each token sees, from the first on, the textures hold: `[tokens]`. Where many are missing it has all of
   * them brought, as the buffers hold them at this point of the recording.
   *
   * @param all whether a single one is too many
   */
  hold(
    recorder: Recorder,
    batch: Batch,
    buffers: readonly Rows<GPUBuffer>[],
    all = false,
  ): Uint32Array {
    const missing = new Set<number>();
    const held = this.#count(batch, all ? 0 : MOST_MISSING, missing);
    if (missing.size === 0) return held;
    const rows = Uint32Array.from(missing);
    this.layers.forEach((texels, i) =>
      keysToTexels(recorder, { rows, ...buffers[i], texels, width: this.width })
    );
    for (const row of rows) this.#held[row] = 1;
    return this.#count(batch);
  }

  /** Keys held of each token; adds the rows to bring of those that miss more than `most`. */
  #count({ tokens, info }: Batch, most = 0, missing?: Set<number>): Uint32Array {
    return Uint32Array.from({ length: tokens }, (_, t) => {
      const [prefixStart, prefixLength, ownStart, position] = info.subarray(4 * t, 4 * t + 4);
      const own = position - prefixLength; // the token's own row is still to be written
      const prefix = this.#run(prefixStart, prefixLength);
      const rest = this.#run(ownStart, own);
      if (missing && prefixLength - prefix + own - rest > most) {
        for (let i = prefix; i < prefixLength; i++) missing.add(prefixStart + i);
        for (let i = rest; i < own; i++) missing.add(ownStart + i);
      }
      return prefix < prefixLength ? prefix : prefix + rest;
    });
  }

  /** How many of these rows are held, up to the first that is not. */
  #run(start: number, length: number): number {
    let end = Math.max(start, this.#ends.get(start) ?? start);
    while (end < start + length && this.#held[end]) end++;
    this.#ends.set(start, end);
    return Math.min(length, end - start);
  }

  /** Frees the memory. */
  destroy(): void {
    for (const { k, v } of this.layers) for (const one of [k, v]) this.gpu.texels.destroy(one);
  }
}
