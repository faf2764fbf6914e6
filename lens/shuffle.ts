/** Shuffles that are the same for a seed on every platform. */

import { randomBelow } from "./random.ts";

/** Streams of the shuffles' draws; see {@link randomBelow}. Those of many shuffles are counted on from here. */
export const SHUFFLE_STREAMS = {
  /** Texts that are all at hand. */
  texts: 1,
  /** Files of a dataset. */
  files: 5,
  /** Row groups, plus the number of the file. */
  rowGroups: 0x4000_0000,
  /** Texts of the second pool and those after it, plus the number of the pool. */
  pools: 0x8000_0000,
} as const;

/**
 * The numbers 0 to `length − 1` in random order, every order as likely as the next (Fisher–Yates).
 *
 * @param seed whole number in [0, 2⁵³)
 * @param stream tells the shuffles of one seed apart
 */
export function shuffledIndices(
  length: number,
  seed: number,
  stream: number = SHUFFLE_STREAMS.texts,
): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let last = length - 1; last > 0; last--) {
    const other = randomBelow(seed, stream, last, last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/** As {@link shuffledIndices}, or in their own order where there is no seed. */
export function orderOf(length: number, seed: number | null, stream: number): Uint32Array {
  return seed === null
    ? Uint32Array.from({ length }, (_, i) => i)
    : shuffledIndices(length, seed, stream);
}
