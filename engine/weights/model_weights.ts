/** The weights of a model on the device. */

import type { Gpu } from "../gpu/gpu.ts";
import { BLOCK_LINEARS, type BlockLinear, linearShape, type ModelSpec } from "../model_spec.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { destroyMatrix, uploadMatrix, uploadVector, type WeightMatrix } from "./matrix.ts";

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
}

/** Called after each block is on the device. */
export type LoadProgress = (done: number, total: number) => void;

/**
 * Brings a checkpoint to the device.
 *
 * @throws {WeightsError} when a tensor is missing, has another shape or an unsupported dtype.
 */
export async function loadWeights(
  gpu: Gpu,
  spec: ModelSpec,
  checkpoint: Checkpoint,
  progress?: LoadProgress,
): Promise<ModelWeights> {
  const { hiddenSize, vocabSize, tensors } = spec;
  const embedding = await uploadMatrix(gpu, checkpoint, tensors.embedding, [vocabSize, hiddenSize]);
  const blocks: BlockWeights[] = [];
  for (let i = 0; i < spec.layers; i++) {
    blocks.push(await loadBlock(gpu, spec, checkpoint, i));
    progress?.(i + 1, spec.layers);
  }
  const head = spec.tiedHead
    ? embedding
    : await uploadMatrix(gpu, checkpoint, tensors.head, [vocabSize, hiddenSize]);
  return {
    embedding,
    blocks,
    finalNorm: await uploadVector(gpu, checkpoint, tensors.finalNorm, hiddenSize),
    head: { weight: head },
  };
}

async function loadBlock(
  gpu: Gpu,
  spec: ModelSpec,
  checkpoint: Checkpoint,
  layer: number,
): Promise<BlockWeights> {
  const module = spec.tensors.block(layer);
  const vector = (name: string) =>
    uploadVector(gpu, checkpoint, `${module}.${name}.weight`, spec.hiddenSize);
  const linears = {} as Record<BlockLinear, Linear>;
  for (const name of BLOCK_LINEARS) {
    const shape = linearShape(spec, name);
    const weight = await uploadMatrix(gpu, checkpoint, `${module}.${name}.weight`, shape);
    linears[name] = { weight };
  }
  return {
    inputNorm: await vector("input_layernorm"),
    postAttentionNorm: await vector("post_attention_layernorm"),
    linears,
  };
}

/** Frees everything that {@link loadWeights} made. */
export function destroyWeights(gpu: Gpu, weights: ModelWeights): void {
  const matrices = [weights.embedding];
  if (weights.head.weight !== weights.embedding) matrices.push(weights.head.weight);
  for (const block of weights.blocks) {
    gpu.buffers.destroy(block.inputNorm);
    gpu.buffers.destroy(block.postAttentionNorm);
    matrices.push(...Object.values(block.linears).map((linear) => linear.weight));
  }
  gpu.buffers.destroy(weights.finalNorm);
  for (const matrix of matrices) destroyMatrix(gpu, matrix);
}
