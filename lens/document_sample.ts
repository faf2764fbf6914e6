/** Parts of a selection: some of its documents, or their beginnings. */

import type { Selection } from "./documents.ts";
import { SAMPLE_STREAMS } from "./resample.ts";
import { shuffledIndices } from "./shuffle.ts";

/** `count` of the documents, chosen by a seed, in their order; all of them where there are no more. */
export function sampleDocuments(selection: Selection, count: number, seed: number): Selection {
  if (selection.tokens.length <= count) return selection;
  const chosen = shuffledIndices(selection.tokens.length, seed, SAMPLE_STREAMS.documents)
    .subarray(0, count).toSorted();
  return {
    ...selection,
    tokens: Array.from(chosen, (i) => selection.tokens[i]),
    indices: Array.from(chosen, (i) => selection.indices[i]),
  };
}

/**
 * The documents as far as a position, by its name: what comes after it changes nothing before, and need not be computed.
 */
export function cutAfter(selection: Selection, last: number): Selection {
  const positions = last - selection.firstPosition + 1;
  const spare = selection.positions - positions;
  if (spare === 0) return selection;
  const tokens = selection.tokens.map((ids) => ids.subarray(0, ids.length - spare));
  return { ...selection, tokens, positions };
}
