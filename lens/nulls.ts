/** Vectors that a readout must not find anything in: a readout without its nulls is not evidence. */

import { philox4x32, seedKey } from "../engine/random/philox.ts";
import { rescaled } from "./patchscope.ts";

/** Random directions read beside each difference. */
export const RANDOM_DIRECTIONS = 3;

/** Stream of the draws; see `random.ts`. */
const STREAM = 4;

/**
 * A random direction of the given length: independent normal components (Box and Muller 1958), rescaled.
 *
 * @param index tells several directions of one seed apart
 */
export function randomDirection(
  hidden: number,
  length: number,
  seed: number,
  index: number,
): Float32Array<ArrayBuffer> {
  const words = 2 ** 32;
  const direction = new Float32Array(hidden);
  for (let i = 0; i < hidden; i += 2) {
    const [a, b] = philox4x32([i, index, STREAM, 0], seedKey(seed));
    const radius = Math.sqrt(-2 * Math.log((a + 1) / words));
    const angle = 2 * Math.PI * b / words;
    direction[i] = radius * Math.cos(angle);
    if (i + 1 < hidden) direction[i + 1] = radius * Math.sin(angle);
  }
  return rescaled(direction, length);
}
