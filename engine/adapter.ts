/** A base model with a LoRA adapter on it: the base's buffers are shared, only the low-rank factors are new. */

import { Transformer } from "./transformer.ts";
import type { LoraAdapter } from "./weights/lora.ts";
import { uploadMatrix } from "./weights/matrix.ts";
import type { BlockWeights, LowRank } from "./weights/model_weights.ts";

/**
 * Brings an adapter's factors to the device; when that fails, what was made on the way is freed. Destroying the result
 * leaves the base as it is.
 */
export async function withAdapter(base: Transformer, adapter: LoraAdapter): Promise<Transformer> {
  const { gpu, spec, weights } = base;
  const { checkpoint, modules } = adapter;
  const owned: GPUBuffer[] = [];
  const blocks: BlockWeights[] = weights.blocks.map((block) => ({
    ...block,
    linears: { ...block.linears },
  }));
  try {
    for (const { layer, linear, rank, scale, a, b } of modules) {
      const { weight } = blocks[layer].linears[linear];
      const lora: LowRank = {
        a: await uploadMatrix(gpu, checkpoint, a.name, [rank, weight.columns], owned),
        b: await uploadMatrix(gpu, checkpoint, b.name, [weight.rows, rank], owned),
        scale,
      };
      blocks[layer].linears[linear] = { weight, lora };
    }
  } catch (error) {
    for (const buffer of owned) gpu.buffers.destroy(buffer);
    throw error;
  }
  return new Transformer(gpu, spec, { ...weights, blocks, owned });
}
