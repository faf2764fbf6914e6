/** Ragged batches: sequences packed end to end. There is no padding, so nothing depends on a sequence's neighbours. */

import { UsageError } from "./errors.ts";

/** Where a sequence's keys and values lie; see {@link packBatch}. */
export interface KeyPlacement {
  /** First row of the keys that were computed before and may be shared with other sequences. */
  prefixStart: number;
  /** How many tokens those are. */
  prefixLength: number;
  /** Row of the first key after the prefix. */
  ownStart: number;
  /** How many keys after the prefix are already there. */
  ownLength: number;
}

/** Sequences as the kernels see them. */
export interface Batch {
  /** Tokens in all. */
  readonly tokens: number;
  /** Where each sequence begins, and the end of the last: `[sequences + 1]`. */
  readonly offsets: Uint32Array;
  /** Position of each sequence's first token. */
  readonly starts: Uint32Array;
  /** Token ids, `[tokens]`. */
  readonly ids: Uint32Array<ArrayBuffer>;
  /** Per token (prefixStart, prefixLength, ownStart, position), `[tokens, 4]`; attention.wgsl tells the rule. */
  readonly info: Uint32Array<ArrayBuffer>;
}

/**
 * Packs sequences of token ids. Without placements each sequence stands alone and its keys are the batch's own rows;
 * with them the tokens continue sequences whose earlier keys are in a cache.
 *
 * @throws {UsageError} for an empty sequence, or an id that is not a whole number below `vocabSize`.
 *
 * @example
 * ```ts
 * import { packBatch } from "./batch.ts";
 * import { assertEquals } from "@std/assert";
 * const batch = packBatch([[1, 5, 6], [1, 7]], { vocabSize: 8, maxPositions: 16 });
 * assertEquals([...batch.offsets], [0, 3, 5]);
 * ```
 */
export function packBatch(
  sequences: readonly ArrayLike<number>[],
  limits: { vocabSize: number; maxPositions: number },
  placements?: readonly KeyPlacement[],
): Batch {
  const offsets = new Uint32Array(sequences.length + 1);
  sequences.forEach((sequence, s) => offsets[s + 1] = offsets[s] + sequence.length);
  const tokens = offsets[sequences.length];
  const ids = new Uint32Array(tokens);
  const info = new Uint32Array(tokens * 4);
  const starts = new Uint32Array(sequences.length);
  sequences.forEach((sequence, s) => {
    const place = placements?.[s] ??
      { prefixStart: 0, prefixLength: 0, ownStart: offsets[s], ownLength: 0 };
    starts[s] = place.prefixLength + place.ownLength;
    checkLength(sequence.length, starts[s], s, limits.maxPositions);
    for (let i = 0; i < sequence.length; i++) {
      const id = sequence[i];
      if (!Number.isInteger(id) || id < 0 || id >= limits.vocabSize) {
        throw new UsageError(
          `Cannot run sequence ${s}: token ${id} at place ${i} is not in the vocabulary of ${limits.vocabSize}`,
        );
      }
      const t = offsets[s] + i;
      ids[t] = id;
      info[4 * t] = place.prefixStart;
      info[4 * t + 1] = place.prefixLength;
      info[4 * t + 2] = place.ownStart;
      info[4 * t + 3] = starts[s] + i;
    }
  });
  return { tokens, offsets, starts, ids, info };
}

function checkLength(length: number, start: number, sequence: number, maxPositions: number): void {
  if (length === 0) throw new UsageError(`Cannot run sequence ${sequence}: it has no tokens`);
  if (start + length > maxPositions) {
    throw new UsageError(
      `Cannot run sequence ${sequence}: ${
        start + length
      } tokens are over the model's context of ${maxPositions}`,
    );
  }
}

/** The position of the furthest token. */
export function furthestPosition({ offsets, starts }: Pick<Batch, "offsets" | "starts">): number {
  return starts.reduce(
    (furthest, start, s) => Math.max(furthest, start + offsets[s + 1] - offsets[s] - 1),
    0,
  );
}

/** Which tokens of each sequence: all, or places counted from its start, or from its end when negative. */
export type Positions = "all" | readonly number[];

/**
 * The batch rows of the listed positions, in rising order. Positions before the batch's tokens (in the cache) and
 * after them have no row.
 */
export function rowsAt(batch: Batch, sequence: number, positions: Positions): number[] {
  const first = batch.offsets[sequence];
  const length = batch.offsets[sequence + 1] - first;
  if (positions === "all") return Array.from({ length }, (_, i) => first + i);
  const start = batch.starts[sequence];
  if (positions.length === 1) { // as every step of decoding asks for each of its sequences
    const place = positions[0] < 0 ? length + positions[0] : positions[0] - start;
    return place >= 0 && place < length ? [first + place] : [];
  }
  const places = positions.map((p) => p < 0 ? length + p : p - start);
  const inside = new Set(places.filter((place) => place >= 0 && place < length));
  return [...inside].sort((a, b) => a - b).map((place) => first + place);
}
