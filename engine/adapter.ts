/** A base model with a LoRA adapter on it: the base's buffers are shared, only what the adapter brings is new. */

import { ModelError } from "./errors.ts";
import type { Gpu } from "./gpu/gpu.ts";
import { linearPlace, type ModelSpec } from "./model_spec.ts";
import { Transformer } from "./transformer.ts";
import type { Checkpoint } from "./weights/checkpoint.ts";
import type { LoraAdapter, LoraModule, LoraPair } from "./weights/lora.ts";
import { uploadMatrix, uploadValues, type WeightMatrix } from "./weights/matrix.ts";
import type { BlockWeights, LowRank, ModelWeights } from "./weights/model_weights.ts";

/**
 * Brings an adapter's factors to the device; when that fails, what was made on the way is freed. Destroying the result
 * leaves the base as it is.
 *
 * @param strength by which the update is multiplied: 0 is the base, 1 the adapter as it was trained
 * @throws {ModelError} if there are whole tables beside the factors, and the strength is neither 0 nor 1
 */
export async function withAdapter(
  base: Transformer,
  adapter: LoraAdapter,
  strength = 1,
): Promise<Transformer> {
  const { gpu, spec, weights } = base;
  if (strength === 0) return new Transformer(gpu, spec, { ...weights, owned: [] });
  if (strength !== 1) adapter = scaled(adapter, strength);
  const upload = new AdapterUpload(gpu, spec, adapter.checkpoint);
  const blocks: BlockWeights[] = weights.blocks.map((block) => ({
    ...block,
    linears: { ...block.linears },
  }));
  const changed: ModelWeights = { ...weights, blocks, owned: upload.owned };
  try {
    for (const module of adapter.modules) await upload.module(blocks[module.layer], module);
    const { embedding, head } = adapter.tables;
    if (embedding) changed.embedding = await upload.table(embedding.name);
    if (head) {
      const same = head === embedding;
      changed.head = { weight: same ? changed.embedding : await upload.table(head.name) };
    }
    if (adapter.head) changed.head = { ...changed.head, lora: await upload.pair(adapter.head) };
    if (adapter.embedding) changed.embeddingLora = await upload.embedding(adapter.embedding);
  } catch (error) {
    for (const buffer of upload.owned) gpu.buffers.destroy(buffer);
    throw error;
  }
  return new Transformer(gpu, spec, changed);
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

/** Makes the adapter's buffers. */
class AdapterUpload {
  readonly owned: GPUBuffer[] = [];

  constructor(
    private readonly gpu: Gpu,
    private readonly spec: ModelSpec,
    private readonly checkpoint: Checkpoint,
  ) {}

  /** Adds a module's factors to the linear layers whose rows it holds; they share A, and each has its rows of B. */
  async module({ linears: own }: BlockWeights, module: LoraModule): Promise<void> {
    const { a: { name: aName, shape: [rank, columns] }, b, scale } = module;
    const a = await this.#matrix({ name: aName, rows: rank, columns });
    for (const linear of module.linears) {
      const { rows } = own[linear].weight;
      const { firstRow, moduleRows: tensorRows } = linearPlace(this.spec, linear);
      const part = { name: b.name, rows, columns: rank, firstRow, tensorRows };
      own[linear] = { ...own[linear], lora: { a, b: await this.#matrix(part), scale } };
    }
  }

  /** The factors of one whole matrix. */
  async pair({ a, b, scale }: LoraPair): Promise<LowRank> {
    const whole = ({ name, shape: [rows, columns] }: LoraPair["a"]) =>
      this.#matrix({ name, rows, columns });
    return { a: await whole(a), b: await whole(b), scale };
  }

  /** The factors of an embedding: A is turned, for its columns are looked up by token. */
  async embedding({ a, b, rank, scale }: LoraPair): Promise<LowRank> {
    const { vocabSize, hiddenSize } = this.spec;
    const values = await this.checkpoint.readFloat32(a.name);
    const turned = new Float32Array(values.length);
    for (let id = 0; id < vocabSize; id++) {
      for (let r = 0; r < rank; r++) turned[id * rank + r] = values[r * vocabSize + id];
    }
    const part = { name: a.name, rows: vocabSize, columns: rank };
    return {
      a: await uploadValues(this.gpu, part, turned, this.owned),
      b: await this.#matrix({ name: b.name, rows: hiddenSize, columns: rank }),
      scale,
    };
  }

  /** A whole `[vocab, hidden]`. */
  async table(name: string): Promise<WeightMatrix> {
    return await this.#matrix({ name, rows: this.spec.vocabSize, columns: this.spec.hiddenSize });
  }

  #matrix(part: Parameters<typeof uploadMatrix>[2]): Promise<WeightMatrix> {
    return uploadMatrix(this.gpu, this.checkpoint, part, this.owned);
  }
}
