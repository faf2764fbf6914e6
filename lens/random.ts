/** Random numbers that are a function of (seed, stream, index): the same on every platform and in any order of asking. */

import { philox4x32, seedKey } from "../engine/random/philox.ts";

/**
 * A whole number in `[0, bound)`, every one as likely as the next (words that would tip the scale are drawn again).
 *
 * @param seed whole number in [0, 2⁵³)
 * @param stream tells uses of one seed apart, 32 bits
 * @param index which number of the stream, in [0, 2⁵³)
 * @param bound in [1, 2³²]
 */
export function randomBelow(seed: number, stream: number, index: number, bound: number): number {
  const words = 2 ** 32;
  const fair = words - words % bound;
  for (let attempt = 0;; attempt++) {
    const counter = [index, Math.floor(index / words), stream, attempt] as const;
    for (const word of philox4x32(counter, seedKey(seed))) {
      if (word < fair) return word % bound;
    }
  }
}
