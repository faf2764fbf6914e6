/** A base model with a LoRA adapter on it: the base's buffers are shared, only what the adapter brings is new. */

import { ModelError } from "./errors.ts";
import { linearPlace, type ModelSpec } from "./model_spec.ts";
import { Transformer } from "./transformer.ts";
import type { LoraAdapter, LoraPair } from "./weights/lora.ts";
import { makeOwned, runLayout, WeightLayout } from "./weights/matrix.ts";
import type { BlockWeights, LowRank, ModelWeights } from "./weights/model_weights.ts";
import { packFactors } from "./weights/packed.ts";
import { WeightStream } from "./weights/stage.ts";
import { packAndStore, streamBlocks } from "./weights/streamed_blocks.ts";
import { streamTable } from "./weights/streamed_weights.ts";

/**
 * Brings an adapter's factors to the device; when that fails, what was made on the way is freed. Destroying the result
 * leaves the base as it is. On a base whose weights are brought when they are needed, the factors are too, and the adapter's
 * checkpoint stays open until the result is destroyed.
 *
 * @param strength by which the update is multiplied: 0 is the base, 1 the adapter as it was trained
 * @throws {ModelError} if there are whole tables beside the factors, and the strength is neither 0 nor 1
 */
export async function withAdapter(
  base: Transformer,
  adapter: LoraAdapter,
  strength = 1,
  signal?: AbortSignal,
): Promise<Transformer> {
  const { gpu, spec, weights } = base;
  const owned: GPUBuffer[] = [];
  const { checkpoint } = adapter;
  const stream = weights.stream && new WeightStream(gpu, signal);
  const destroy = () => {
    stream?.destroy();
    checkpoint.close();
  };
  const reading = {
    get readMs() {
      return stream?.readMs ?? 0;
    },
    destroy,
  };
  const textures: GPUTexture[] = [];
  const own = { owned, textures, stream: stream && reading };
  if (strength === 0) return new Transformer(gpu, spec, { ...weights, ...own });
  if (strength !== 1) adapter = scaled(adapter, strength);
  try {
    const layout = new WeightLayout(gpu, checkpoint, makeOwned(gpu, owned));
    const parts = stream && { gpu, checkpoint, stream, owned, textures };
    const factors = new FactorLayout(spec, adapter);
    const blocks = parts
      ? streamBlocks(
        parts,
        spec.layers,
        (layout, layer) => factors.block(layout, weights.blocks[layer], layer),
        weights.textures.length > 0 ? packAndStore : undefined,
      ).map(({ block, stages }, layer) => ({
        ...block,
        stages: [...weights.blocks[layer].stages ?? [], ...stages],
      }))
      : weights.blocks.map((block, layer) => factors.block(layout, block, layer));
    const table = ({ name }: { name: string }) => {
      const part = { name, rows: spec.vocabSize, columns: spec.hiddenSize };
      return parts ? streamTable(parts, part) : layout.matrix(part);
    };
    const changed: ModelWeights = { ...weights, blocks, ...own };
    const { embedding, head } = adapter.tables;
    if (embedding) changed.embedding = table(embedding);
    if (head) changed.head = { weight: head === embedding ? changed.embedding : table(head) };
    if (adapter.head) changed.head = { ...changed.head, lora: factors.pair(layout, adapter.head) };
    if (adapter.embedding) {
      changed.embeddingLora = await factors.embedding(layout, adapter.embedding);
    }
    stream?.open();
    const packing = stream ? undefined : await gpu.allocating(() => packFactors(gpu, changed));
    await runLayout(gpu, layout, { signal });
    await packing?.();
    return new Transformer(gpu, spec, changed);
  } catch (error) {
    for (const texture of textures) gpu.texels.destroy(texture);
    for (const buffer of owned) gpu.buffers.destroy(buffer);
    stream?.destroy();
    throw error;
  }
}

/** The adapter with the scale of every pair of factors multiplied. */
function scaled(adapter: LoraAdapter, strength: number): LoraAdapter {
  if (adapter.tables.embedding ?? adapter.tables.head) {
    throw new ModelError(
      `Cannot take LoRA adapter "${adapter.name}" at strength ${strength}: it replaces whole tables, which have no scale; ` +
        "merge it into its base and use the whole checkpoint",
    );
  }
  const scale = <Pair extends LoraPair>(pair: Pair): Pair => ({
    ...pair,
    scale: pair.scale * strength,
  });
  const { head, embedding } = adapter;
  return {
    ...adapter,
    modules: adapter.modules.map(scale),
    head: head && scale(head),
    embedding: embedding && scale(embedding),
  };
}

/** Where an adapter's factors go. */
class FactorLayout {
  constructor(private readonly spec: ModelSpec, private readonly adapter: LoraAdapter) {}

  /** A block with the factors of its modules. They share A, and each linear layer has its rows of B. */
  block(layout: WeightLayout, base: BlockWeights, layer: number): BlockWeights {
    const linears = { ...base.linears };
    for (const module of this.adapter.modules) {
      if (module.layer !== layer) continue;
      const { a: { name: aName, shape: [rank, columns] }, b, scale } = module;
      const a = layout.matrix({ name: aName, rows: rank, columns });
      for (const linear of module.linears) {
        const { rows } = linears[linear].weight;
        const { firstRow, moduleRows: tensorRows } = linearPlace(this.spec, linear);
        const part = { name: b.name, rows, columns: rank, firstRow, tensorRows };
        linears[linear] = { ...linears[linear], lora: { a, b: layout.matrix(part), scale } };
      }
    }
    return { ...base, linears };
  }

  /** The factors of one whole matrix. */
  pair(layout: WeightLayout, { a, b, scale }: LoraPair): LowRank {
    const whole = ({ name, shape: [rows, columns] }: LoraPair["a"]) =>
      layout.matrix({ name, rows, columns });
    return { a: whole(a), b: whole(b), scale };
  }

  /** The factors of an embedding: A is turned, for its columns are looked up by token. */
  async embedding(layout: WeightLayout, { a, b, rank, scale }: LoraPair): Promise<LowRank> {
    const { vocabSize, hiddenSize } = this.spec;
    const values = await this.adapter.checkpoint.readFloat32(a.name);
    const turned = new Float32Array(values.length);
    for (let id = 0; id < vocabSize; id++) {
      for (let r = 0; r < rank; r++) turned[id * rank + r] = values[r * vocabSize + id];
    }
    return {
      a: layout.values({ name: a.name, rows: vocabSize, columns: rank }, turned),
      b: layout.matrix({ name: b.name, rows: hiddenSize, columns: rank }),
      scale,
    };
  }
}
