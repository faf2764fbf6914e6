/** Shuffles that are the same for a seed on every platform. */

import { randomBelow } from "./random.ts";

/** The stream of the shuffle's draws; see {@link randomBelow}. */
const STREAM = 1;

/**
 * The numbers 0 to `length − 1` in random order, every order as likely as the next (Fisher–Yates).
 *
 * @param seed whole number in [0, 2⁵³)
 */
export function shuffledIndices(length: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let last = length - 1; last > 0; last--) {
    const other = randomBelow(seed, STREAM, last, last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}
