/** Which texts are taken of many, the same for a seed. */

import { shuffledIndices } from "../shuffle.ts";

/** Streams of the draws of this folder; see `random.ts`. */
export const SIMILARITY_STREAMS = {
  finetuning: 21,
  generic: 22,
  steered: 23,
  unsteered: 24,
  fit: 25,
} as const;

/** At most `count` of the texts, chosen at random and left in their order. */
export function someOf<T>(texts: readonly T[], count: number, seed: number, stream: number): T[] {
  if (texts.length <= count) return [...texts];
  return [...shuffledIndices(texts.length, seed, stream).subarray(0, count).sort()]
    .map((i) => texts[i]);
}
