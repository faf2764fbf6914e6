/** What the audits of sampling share: the state that `sampleTokens` reads and writes. */

import type { DeviceTensor } from "../../gpu/tensor.ts";
import type { SampledRow, Sampling, SamplingState } from "../../ops/sampling.ts";
import type { Draw } from "../inputs.ts";

/** Tokens that each row's sequence has seen, by row. */
export function seenTokens(draw: Draw, rows: number, vocab: number): Set<number>[] {
  return Array.from(
    { length: rows },
    () => new Set(Array.from({ length: 5 }, () => draw.below(vocab))),
  );
}

/** Rows with slots in falling order, so that none is its row; each draws from the stream of its own number. */
export function sampledRows(picked: readonly number[], sampling: Sampling): SampledRow[] {
  return picked.map((stream, i) => ({ slot: picked.length - 1 - i, stream, step: 0, sampling }));
}

/** The buffers of these rows. */
export function samplingBuffers(
  picked: readonly number[],
  seen: readonly ReadonlySet<number>[],
  words: number,
) {
  const bitmaps = new Uint32Array(picked.length * words);
  picked.forEach((row, i) => {
    const slot = picked.length - 1 - i;
    if (words === 0) return;
    for (const token of seen[row]) bitmaps[slot * words + (token >>> 5)] |= 1 << (token & 31);
  });
  return {
    seen: bitmaps.length > 0 ? bitmaps : Uint32Array.of(0),
    ids: { words: picked.length },
    history: { words: picked.length },
  };
}

/** The same on the device. */
export function samplingState(at: Record<string, DeviceTensor>, words: number): SamplingState {
  return { seen: at.seen.buffer, words, ids: at.ids.buffer, history: at.history.buffer };
}
