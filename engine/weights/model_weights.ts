/** The weights of a model on the device. */

import { ModelError, WeightsError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import {
  BLOCK_LINEARS,
  BLOCK_NORMS,
  type BlockLinear,
  linearPlace,
  linearShape,
  type ModelSpec,
  modulePath,
} from "../model_spec.ts";
import { MAX_HEAD_DIM } from "../ops/attention.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { uploadMatrix, uploadVector, type WeightMatrix } from "./matrix.ts";

/** A low-rank update: `y += scale · B(A x)`, `A` `[rank, in]`, `B` `[out, rank]` (Hu et al. 2021). */
export interface LowRank {
  a: WeightMatrix;
  b: WeightMatrix;
  scale: number;
}

/** `y = W x (+ bias) (+ low-rank update)`. */
export interface Linear {
  weight: WeightMatrix;
  /** `[out]` f32. */
  bias?: GPUBuffer;
  lora?: LowRank;
}

/** One block. */
export interface BlockWeights {
  /** `[hidden]` f32, the spec's offset included; those that the spec's `blockNorms` names. */
  norms: { [place in typeof BLOCK_NORMS[number]]?: GPUBuffer };
  /** Of q and k, f32: `[headDim]` or the projection's width, where the spec has them. */
  qNorm?: GPUBuffer;
  kNorm?: GPUBuffer;
  linears: Record<BlockLinear, Linear>;
}

/** All of a model. */
export interface ModelWeights {
  embedding: WeightMatrix;
  /** `E[id] += scale · B·a[id]`; `a` is `[vocab, rank]`, the transpose of what PEFT calls A. */
  embeddingLora?: LowRank;
  blocks: BlockWeights[];
  finalNorm: GPUBuffer;
  head: Linear;
  /** Every buffer that goes when the model goes. With an adapter, its factors: the others are the base's. */
  owned: GPUBuffer[];
}

/** The attention kernels read whole vec4s and keep a head in registers: another size would give wrong numbers in silence. */
function checkHeadDim({ headDim }: ModelSpec): void {
  if (headDim % 4 === 0 && headDim <= MAX_HEAD_DIM) return;
  throw new ModelError(
    `Cannot run a model with head_dim ${headDim}: the attention kernels take multiples of 4 up to ${MAX_HEAD_DIM}`,
  );
}

/** Called after each block is on the device. */
export type LoadProgress = (done: number, total: number) => void;

/**
 * Brings a checkpoint to the device; when that fails, what was made on the way is freed.
 *
 * @throws {ModelError} when the kernels cannot run a model of these sizes.
 * @throws {WeightsError} when a tensor is missing, has another shape or an unsupported dtype.
 */
export async function loadWeights(
  gpu: Gpu,
  spec: ModelSpec,
  checkpoint: Checkpoint,
  progress?: LoadProgress,
): Promise<ModelWeights> {
  checkHeadDim(spec);
  const loader = new Loader(gpu, spec, checkpoint);
  try {
    const embedding = await loader.table(loader.root("embed_tokens.weight"));
    const blocks: BlockWeights[] = [];
    for (let i = 0; i < spec.layers; i++) {
      blocks.push(await loader.block(i));
      progress?.(i + 1, spec.layers);
    }
    const head = { weight: spec.tiedHead ? embedding : await loader.table(loader.headName()) };
    const finalNorm = await loader.norm(loader.root("norm.weight"), spec.hiddenSize);
    return { embedding, blocks, finalNorm, head, owned: loader.owned };
  } catch (error) {
    for (const buffer of loader.owned) gpu.buffers.destroy(buffer);
    throw error;
  }
}

/** Finds the tensors by the spec's names and makes buffers of them. */
class Loader {
  readonly owned: GPUBuffer[] = [];
  readonly #root: string;

  constructor(
    private readonly gpu: Gpu,
    private readonly spec: ModelSpec,
    private readonly checkpoint: Checkpoint,
  ) {
    this.#root = findRoot(spec, checkpoint);
  }

  /** The full name of a tensor of the decoder. */
  root(name: string): string {
    return modulePath(this.#root, name);
  }

  headName(): string {
    const { heads } = this.spec.tensors;
    const found = heads.find((name) => this.checkpoint.has(name));
    if (found !== undefined) return found;
    throw new WeightsError(
      `Cannot find the unembedding in "${this.checkpoint.name}": it has no ${heads.join(" or ")} ` +
        "(is config.json's tie_word_embeddings right?)",
    );
  }

  /** `[vocab, hidden]`. */
  async table(name: string): Promise<WeightMatrix> {
    const { vocabSize, hiddenSize } = this.spec;
    return await uploadMatrix(
      this.gpu,
      this.checkpoint,
      { name, rows: vocabSize, columns: hiddenSize },
      this.owned,
    );
  }

  /** A norm's weight, f32, with the spec's offset. */
  async norm(name: string, size: number): Promise<GPUBuffer> {
    const { normOffset } = this.spec;
    return await uploadVector(this.gpu, this.checkpoint, name, {
      size,
      offset: normOffset,
      owned: this.owned,
    });
  }

  async block(layer: number): Promise<BlockWeights> {
    const { spec } = this;
    const module = this.root(`layers.${layer}`);
    const block: BlockWeights = { norms: {}, linears: {} as BlockWeights["linears"] };
    for (const place of BLOCK_NORMS) {
      const name = spec.blockNorms[place];
      if (name === undefined) continue;
      block.norms[place] = await this.norm(`${module}.${name}.weight`, spec.hiddenSize);
    }
    if (spec.qkNorm !== "none") {
      const width = (heads: number) => spec.qkNorm === "head" ? spec.headDim : heads * spec.headDim;
      block.qNorm = await this.norm(`${module}.self_attn.q_norm.weight`, width(spec.heads));
      block.kNorm = await this.norm(`${module}.self_attn.k_norm.weight`, width(spec.kvHeads));
    }
    for (const linear of BLOCK_LINEARS) block.linears[linear] = await this.linear(module, linear);
    return block;
  }

  private async linear(block: string, linear: BlockLinear): Promise<Linear> {
    const { gpu, spec, checkpoint, owned } = this;
    const [rows, columns] = linearShape(spec, linear);
    const { module, firstRow, moduleRows } = linearPlace(spec, linear);
    const name = `${block}.${module}.weight`;
    const part = { name, rows, columns, firstRow, tensorRows: moduleRows };
    const weight = await uploadMatrix(gpu, checkpoint, part, owned);
    if (!spec.biases.includes(linear)) return { weight };
    const whole = { size: moduleRows, part: [firstRow, rows] as const, owned };
    return {
      weight,
      bias: await uploadVector(gpu, checkpoint, `${block}.${module}.bias`, whole),
    };
  }
}

/** The module under which the checkpoint has the decoder: the first of the spec's roots with an embedding. */
function findRoot(spec: ModelSpec, checkpoint: Checkpoint): string {
  const { roots } = spec.tensors;
  const table = (root: string) => modulePath(root, "embed_tokens.weight");
  const root = roots.find((root) => checkpoint.has(table(root)));
  if (root !== undefined) return root;
  checkpoint.info(table(roots[0])); // says what is missing, and what is there that is like it
  return roots[0];
}
