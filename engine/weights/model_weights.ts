/** The weights of a model on the device. */

import { ModelError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { BLOCK_LINEARS, type BlockLinear, linearShape, type ModelSpec } from "../model_spec.ts";
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
  lora?: LowRank;
}

/** One block. */
export interface BlockWeights {
  inputNorm: GPUBuffer;
  postAttentionNorm: GPUBuffer;
  linears: Record<BlockLinear, Linear>;
}

/** All of a model. */
export interface ModelWeights {
  embedding: WeightMatrix;
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
  const { hiddenSize, vocabSize, tensors } = spec;
  const owned: GPUBuffer[] = [];
  const table = (name: string) =>
    uploadMatrix(gpu, checkpoint, name, [vocabSize, hiddenSize], owned);
  try {
    const embedding = await table(tensors.embedding);
    const blocks: BlockWeights[] = [];
    for (let i = 0; i < spec.layers; i++) {
      blocks.push(await loadBlock(gpu, spec, checkpoint, i, owned));
      progress?.(i + 1, spec.layers);
    }
    const head = { weight: spec.tiedHead ? embedding : await table(tensors.head) };
    const finalNorm = await uploadVector(gpu, checkpoint, tensors.finalNorm, hiddenSize, owned);
    return { embedding, blocks, finalNorm, head, owned };
  } catch (error) {
    for (const buffer of owned) gpu.buffers.destroy(buffer);
    throw error;
  }
}

async function loadBlock(
  gpu: Gpu,
  spec: ModelSpec,
  checkpoint: Checkpoint,
  layer: number,
  owned: GPUBuffer[],
): Promise<BlockWeights> {
  const module = spec.tensors.block(layer);
  const vector = (name: string) =>
    uploadVector(gpu, checkpoint, `${module}.${name}.weight`, spec.hiddenSize, owned);
  const linears = {} as Record<BlockLinear, Linear>;
  for (const name of BLOCK_LINEARS) {
    const shape = linearShape(spec, name);
    const weight = await uploadMatrix(gpu, checkpoint, `${module}.${name}.weight`, shape, owned);
    linears[name] = { weight };
  }
  return {
    inputNorm: await vector("input_layernorm"),
    postAttentionNorm: await vector("post_attention_layernorm"),
    linears,
  };
}
