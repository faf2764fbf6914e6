/** A base model with a LoRA adapter on it: the base's buffers are shared, only the low-rank factors are new. */

import { Transformer } from "./transformer.ts";
import type { LoraAdapter } from "./weights/lora.ts";
import { destroyMatrix, uploadMatrix, type WeightMatrix } from "./weights/matrix.ts";
import type { BlockWeights, LowRank } from "./weights/model_weights.ts";

/** Brings an adapter's factors to the device. Destroying the result leaves the base as it is. */
export async function withAdapter(base: Transformer, adapter: LoraAdapter): Promise<Transformer> {
  const { gpu, spec, weights } = base;
  const owned: WeightMatrix[] = [];
  const blocks: BlockWeights[] = weights.blocks.map((block) => ({
    ...block,
    linears: { ...block.linears },
  }));
  for (const { layer, linear, rank, scale, a, b } of adapter.modules) {
    const { weight } = blocks[layer].linears[linear];
    const lora: LowRank = {
      a: await uploadMatrix(gpu, adapter.checkpoint, a.name, [rank, weight.columns]),
      b: await uploadMatrix(gpu, adapter.checkpoint, b.name, [weight.rows, rank]),
      scale,
    };
    owned.push(lora.a, lora.b);
    blocks[layer].linears[linear] = { weight, lora };
  }
  const destroy = () => owned.forEach((matrix) => destroyMatrix(gpu, matrix));
  return new Transformer(gpu, spec, { ...weights, blocks }, destroy);
}
