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
import type { Share } from "../ops/many_rows.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type PackedMatrix, packWeights, STACKS } from "./packed.ts";
import {
  makeOwned,
  type MatrixPart,
  runLayout,
  WeightLayout,
  type WeightMatrix,
} from "./matrix.ts";
import type { Stage } from "./stage.ts";
import type { TransferOptions } from "./transfer.ts";

export type { LoadProgress } from "./transfer.ts";

/** A low-rank update: `y += scale · B(A x)`, `A` `[rank, in]`, `B` `[out, rank]` (Hu et al. 2021). */
export interface LowRank {
  a: WeightMatrix;
  b: WeightMatrix;
  scale: number;
  /** B as products from textures take it; where there is such. */
  packed?: PackedMatrix;
  /** The factors A of all layers with the same input, likewise, and the row from which on this one lies there. */
  low?: { stack: PackedMatrix; first: number };
}

/** `y = W x (+ bias) (+ low-rank update)`. */
export interface Linear {
  weight: WeightMatrix;
  /** `[out]` f32. */
  bias?: GPUBuffer;
  lora?: LowRank;
  /** The weight, and the bias, as products from textures take them; where there are such. */
  packed?: PackedMatrix;
}

/** One block. */
export interface BlockWeights {
  /** `[hidden]` f32, the spec's offset included; those that the spec's `blockNorms` names. */
  norms: { [place in typeof BLOCK_NORMS[number]]?: GPUBuffer };
  /** Of q and k, f32: `[headDim]` or the projection's width, where the spec has them. */
  qNorm?: GPUBuffer;
  kNorm?: GPUBuffer;
  linears: Record<BlockLinear, Linear>;
  /** The biases of q, k and v one after the other, f32, where all have one. */
  qkvBias?: GPUBuffer;
  /** The projections of q, k and v, and gate and up, as products from textures take them, and an adapter's share; where there are such. */
  stacked?: { qkv?: PackedMatrix; gateUp?: PackedMatrix; gateUpShare?: Share };
  /** What must be brought before the block is used, where it shares its buffers with others. */
  stages?: readonly Stage[];
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
  /** Likewise the textures. */
  textures: GPUTexture[];
  /** Of weights that are brought when they are needed: what reading them has taken, in milliseconds; and frees what that takes. */
  stream?: { readonly readMs: number; destroy(): void };
}

/** The attention kernels read whole vec4s and keep a head in registers: another size would give wrong numbers in silence. */
function checkHeadDim({ headDim }: ModelSpec): void {
  if (headDim % 4 === 0 && headDim <= MAX_HEAD_DIM) return;
  throw new ModelError(
    `Cannot run a model with head_dim ${headDim}: the attention kernels take multiples of 4 up to ${MAX_HEAD_DIM}`,
  );
}

/**
 * Brings a checkpoint to the device; when that fails, what was made on the way is freed.
 *
 * @param options `planned` is called when every buffer is there and nothing is filled yet
 * @throws {ModelError} when the kernels cannot run a model of these sizes.
 * @throws {WeightsError} when a tensor is missing, has another shape or an unsupported dtype.
 * @throws {OutOfMemoryError} when they do not fit
 */
export async function loadWeights(
  gpu: Gpu,
  spec: ModelSpec,
  checkpoint: Checkpoint,
  options: TransferOptions & { planned?: (weights: ModelWeights) => void } = {},
): Promise<ModelWeights> {
  const plan = new WeightPlan(spec, checkpoint);
  const owned: GPUBuffer[] = [];
  const textures: GPUTexture[] = [];
  try {
    const layout = new WeightLayout(gpu, checkpoint, makeOwned(gpu, owned));
    const weights = await gpu.allocating((): ModelWeights => {
      const embedding = layout.matrix(plan.embedding);
      const blocks = spec.attention.map((_, layer) => plan.block(layout, layer));
      const head = { weight: spec.tiedHead ? embedding : layout.matrix(plan.head()) };
      return { embedding, blocks, finalNorm: plan.finalNorm(layout), head, owned, textures };
    });
    const packing = await gpu.allocating(() => packWeights(gpu, weights));
    options.planned?.(weights);
    await runLayout(gpu, layout, options);
    await packing();
    return weights;
  } catch (error) {
    for (const texture of textures.splice(0)) gpu.texels.destroy(texture);
    for (const buffer of owned.splice(0)) gpu.buffers.destroy(buffer);
    throw error;
  }
}

/** Where a checkpoint has what the spec names, checked. */
export class WeightPlan {
  readonly #root: string;

  /** Throws as {@link loadWeights}. */
  constructor(private readonly spec: ModelSpec, private readonly checkpoint: Checkpoint) {
    checkHeadDim(spec);
    this.#root = findRoot(spec, checkpoint);
  }

  /** `[vocab, hidden]`. */
  get embedding(): MatrixPart {
    return this.#table(this.#path("embed_tokens.weight"));
  }

  /** `[vocab, hidden]`, where the head is not tied. */
  head(): MatrixPart {
    const { heads } = this.spec.tensors;
    const found = heads.find((name) => this.checkpoint.has(name));
    if (found !== undefined) return this.#table(found);
    throw new WeightsError(
      `Cannot find the unembedding in "${this.checkpoint.name}": it has no ${heads.join(" or ")} ` +
        "(is config.json's tie_word_embeddings right?)",
    );
  }

  /** The norm before the unembedding. */
  finalNorm(layout: WeightLayout): GPUBuffer {
    return this.#norm(layout, this.#path("norm.weight"), this.spec.hiddenSize);
  }

  /** A block's weights; buffers are asked for in the same order for every block. */
  block(layout: WeightLayout, layer: number): BlockWeights {
    const { spec } = this;
    const module = this.#path(`layers.${layer}`);
    const block: BlockWeights = { norms: {}, linears: {} as BlockWeights["linears"] };
    for (const place of BLOCK_NORMS) {
      const name = spec.blockNorms[place];
      if (name === undefined) continue;
      block.norms[place] = this.#norm(layout, `${module}.${name}.weight`, spec.hiddenSize);
    }
    if (spec.qkNorm !== "none") {
      const width = (heads: number) => spec.qkNorm === "head" ? spec.headDim : heads * spec.headDim;
      const attention = `${module}.self_attn`;
      block.qNorm = this.#norm(layout, `${attention}.q_norm.weight`, width(spec.heads));
      block.kNorm = this.#norm(layout, `${attention}.k_norm.weight`, width(spec.kvHeads));
    }
    for (const linear of BLOCK_LINEARS) {
      block.linears[linear] = this.#linear(layout, module, linear);
    }
    const { qkv } = STACKS;
    if (qkv.every((linear) => spec.biases.includes(linear))) {
      block.qkvBias = layout.vectors(qkv.map((linear) => this.#bias(module, linear)));
    }
    return block;
  }

  /** The full name of a tensor of the decoder. */
  #path(name: string): string {
    return modulePath(this.#root, name);
  }

  #table(name: string): MatrixPart {
    return { name, rows: this.spec.vocabSize, columns: this.spec.hiddenSize };
  }

  /** A norm's weight, f32, with the spec's offset. */
  #norm(layout: WeightLayout, name: string, size: number): GPUBuffer {
    return layout.vector(name, { size, offset: this.spec.normOffset });
  }

  #linear(layout: WeightLayout, block: string, linear: BlockLinear): Linear {
    const { spec } = this;
    const [rows, columns] = linearShape(spec, linear);
    const { module, firstRow, moduleRows } = linearPlace(spec, linear);
    const name = `${block}.${module}.weight`;
    const weight = layout.matrix({ name, rows, columns, firstRow, tensorRows: moduleRows });
    if (!spec.biases.includes(linear)) return { weight };
    return { weight, bias: layout.vectors([this.#bias(block, linear)]) };
  }

  /** Which elements of which tensor are a linear layer's bias. */
  #bias(block: string, linear: BlockLinear) {
    const { module, firstRow, moduleRows } = linearPlace(this.spec, linear);
    const [rows] = linearShape(this.spec, linear);
    return { name: `${block}.${module}.bias`, size: moduleRows, part: [firstRow, rows] as const };
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
