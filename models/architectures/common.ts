/** Keys of `config.json` that the architectures share, with the limits within which a size is believed. */

import { numberBetween, wholeNumber } from "../../engine/schema.ts";

/**
 * For a zod object. The limits lie an order of magnitude above any published model, and keep what is computed from them
 * (bytes of weights, tables of positions) within exact integers.
 */
export const commonKeys = {
  hidden_size: wholeNumber(1, 1 << 17),
  num_hidden_layers: wholeNumber(1, 1 << 10),
  num_attention_heads: wholeNumber(1, 1 << 12),
  head_dim: wholeNumber(1, 1 << 12).nullish(),
  intermediate_size: wholeNumber(1, 1 << 20),
  vocab_size: wholeNumber(1, 1 << 22),
  max_position_embeddings: wholeNumber(1, 1 << 24).nullish(),
  rms_norm_eps: numberBetween(0, 1).nullish(),
};

/** `head_dim`, or the heads' equal share of the hidden size; even, as RoPE turns pairs. */
export function resolveHeadDim(
  config: { hidden_size: number; num_attention_heads: number; head_dim?: number | null },
  fail: (problem: string) => Error,
): number {
  const { hidden_size: hiddenSize, num_attention_heads: heads } = config;
  const headDim = config.head_dim ?? hiddenSize / heads;
  if (!Number.isInteger(headDim)) {
    throw fail(
      `has hidden_size ${hiddenSize}, which is not a multiple of num_attention_heads ${heads}, and no head_dim`,
    );
  }
  if (headDim % 2 !== 0) throw fail(`has head_dim ${headDim}, but RoPE needs an even one`);
  return headDim;
}
