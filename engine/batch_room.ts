/** How much one pass may hold: tokens by the adapter's limits and the memory that is left. */

import type { Gpu } from "./gpu/gpu.ts";
import type { ModelSpec } from "./model_spec.ts";

/** Tokens a pass: enough to keep any adapter busy. */
const BATCH_TOKENS = 2048;

/** How many tokens one batch may have: what fits into a binding, and into half of the memory that is left. */
export function tokensPerBatch(
  { limits, buffers }: Gpu,
  { spec }: { readonly spec: ModelSpec },
): number {
  const attention = spec.heads * spec.headDim;
  const widest = Math.max(spec.hiddenSize, spec.intermediateSize, attention);
  const perToken = 4 * (4 * spec.hiddenSize + 3 * spec.intermediateSize + 3 * attention);
  return Math.min(
    BATCH_TOKENS,
    Math.floor(limits.maxStorageBufferBindingSize / (4 * widest)),
    Math.floor(buffers.unusedBytes / 2 / perToken),
  );
}

/** How many sequences from `first` on fit into a batch of `most` tokens; one always does. */
export function batchSize(
  sequences: readonly ArrayLike<number>[],
  first: number,
  most: number,
): number {
  let tokens = 0;
  let last = first;
  while (last < sequences.length && tokens + sequences[last].length <= most) {
    tokens += sequences[last++].length;
  }
  return Math.max(1, last - first);
}
