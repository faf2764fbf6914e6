/** How much one pass may hold: tokens by the adapter's limits and the memory that is left. */

import type { Gpu } from "./gpu/gpu.ts";
import type { ModelSpec } from "./model_spec.ts";
import type { ModelWeights } from "./weights/model_weights.ts";

/** Tokens a pass: enough to keep any adapter busy. */
const BATCH_TOKENS = 2048;

/** How many tokens one batch may have: what fits into a binding, and into half of the memory that is left. */
export function tokensPerBatch(
  { limits, buffers }: Gpu,
  { spec }: { readonly spec: ModelSpec },
): number {
  const widest = Math.max(spec.hiddenSize, spec.intermediateSize, spec.heads * spec.headDim);
  return Math.min(
    BATCH_TOKENS,
    Math.floor(limits.maxStorageBufferBindingSize / (4 * widest)),
    Math.floor(roomFor(buffers) / activationBytes(spec)),
  );
}

/** What a pass holds beside activations, about: ids, tables, thresholds, and what the pools round up. */
const SMALL_BYTES = 512 << 10;

/** Half of the memory that is left beside small buffers. */
function roomFor({ unusedBytes }: Gpu["buffers"]): number {
  return (unusedBytes - SMALL_BYTES) / 2;
}

/** About what a token takes on its way through a block. */
function activationBytes({ hiddenSize, intermediateSize, heads, headDim }: ModelSpec): number {
  return 4 * (4 * hiddenSize + 3 * intermediateSize + 3 * heads * headDim);
}

/** Logits held at once: far below the smallest adapter's binding size, and enough to keep any busy. */
const LOGIT_BYTES = 64 << 20;
/** The same where every batch has the unembedding read once more. */
const STREAMED_LOGIT_BYTES = 512 << 20;

/**
 * How many single tokens, in groups of `multiple`, go through blocks, the unembedding and a ranking in one pass: what fits into half
 * of the memory that is left. One group always does.
 */
export function rankedRowsPerBatch(
  { limits, buffers }: Gpu,
  { spec, weights }: {
    readonly spec: ModelSpec;
    readonly weights: Pick<ModelWeights, "stream">;
  },
  multiple: number,
): number {
  const most = weights.stream ? STREAMED_LOGIT_BYTES : LOGIT_BYTES;
  const logits = 4 * spec.vocabSize;
  const keys = 8 * spec.kvHeads * spec.headDim * spec.layers;
  const rows = Math.min(
    BATCH_TOKENS,
    Math.floor(Math.min(most, limits.maxStorageBufferBindingSize) / logits),
    // A group's means are as long as the logits of one row.
    Math.floor(roomFor(buffers) / (2 * logits + keys + activationBytes(spec))),
  );
  return Math.max(1, Math.floor(rows / multiple)) * multiple;
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
