/** The embedding in float64, with the bound that embedding.wgsl states. */

import { flushed, type Reference, TINY, U } from "./reference.ts";

/** `scale · table[ids[t]]`: `table` `[vocab, hidden]`. */
export function embeddingReference(
  ids: Uint32Array,
  table: Float32Array,
  hidden: number,
  scale: number,
): Reference {
  const expected = new Float64Array(ids.length * hidden);
  const bound = new Float64Array(ids.length * hidden);
  for (let t = 0; t < ids.length; t++) {
    for (let i = 0; i < hidden; i++) {
      const at = t * hidden + i;
      const value = table[ids[t] * hidden + i];
      expected[at] = Math.fround(scale) * value;
      bound[at] = (scale === 1 ? 0 : U * Math.abs(expected[at])) +
        Math.abs(scale) * flushed(value) + (Math.abs(expected[at]) < 2 * TINY ? TINY : 0);
    }
  }
  return { expected, bound };
}
