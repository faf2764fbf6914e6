/** What the audits of sampling share: the state that `sampleTokens` reads and writes. */

import type { DeviceTensor } from "../../gpu/tensor.ts";
import type { SamplingRows } from "../../ops/sampling.ts";
import type { Draw } from "../inputs.ts";

/** Tokens that each row's sequence has seen, by row. */
export function seenTokens(draw: Draw, rows: number, vocab: number): Set<number>[] {
  return Array.from(
    { length: rows },
    () => new Set(Array.from({ length: 5 }, () => draw.below(vocab))),
  );
}

/** The buffers: slots in falling order, so that none is its row. */
export function samplingBuffers(
  picked: readonly number[],
  seen: readonly ReadonlySet<number>[],
  words: number,
) {
  const bitmaps = new Uint32Array(picked.length * words);
  const rows = picked.flatMap((row, i) => {
    const slot = picked.length - 1 - i;
    if (words > 0) {
      for (const token of seen[row]) bitmaps[slot * words + (token >>> 5)] |= 1 << (token & 31);
    }
    return [slot, row, 0, 0]; // the stream is the row's own
  });
  return {
    rows: Uint32Array.from(rows),
    seen: bitmaps.length > 0 ? bitmaps : Uint32Array.of(0),
    ids: { words: picked.length },
    history: { words: picked.length },
  };
}

/** The same on the device. */
export function samplingState(at: Record<string, DeviceTensor>, words: number): SamplingRows {
  return {
    rows: at.rows.buffer,
    seen: at.seen.buffer,
    words,
    ids: at.ids.buffer,
    history: at.history.buffer,
  };
}
