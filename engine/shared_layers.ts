/** What two models compute alike. */

import { BLOCK_LINEARS } from "./model_spec.ts";
import type { Transformer } from "./transformer.ts";
import type { BlockWeights } from "./weights/model_weights.ts";

/**
 * How many layers from the first on two models have in common, by having the very same weights: those before the first that
 * an adapter changes. Undefined where their embeddings differ already.
 */
export function sharedLayers(one: Transformer, other: Transformer): number | undefined {
  const [ours, theirs] = [one.weights, other.weights];
  const sameTable = ours.embedding === theirs.embedding &&
    ours.embeddingLora === theirs.embeddingLora;
  if (!sameTable) return undefined;
  const different = ours.blocks.findIndex((block, i) => !sameBlock(block, theirs.blocks[i]));
  return different < 0 ? ours.blocks.length : different;
}

function sameBlock(one: BlockWeights, other: BlockWeights): boolean {
  return one.norms === other.norms &&
    BLOCK_LINEARS.every((linear) => one.linears[linear] === other.linears[linear]);
}
