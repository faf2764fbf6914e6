/** Products of one input with what stands before and after them in a block, in one dispatch. */

import type { Recorder } from "./gpu/recorder.ts";
import { fewRows, type FewRowsArgs, takesFew } from "./ops/few_rows.ts";
import { fitsFused, matvecFused } from "./ops/matvec_fused.ts";
import type { Linear } from "./weights/model_weights.ts";
import type { PackedMatrix } from "./weights/packed.ts";

/** Linear layers with the same input, and where they lie together. Adapters' shares are for others to add. */
export interface Stack {
  linears: readonly Linear[];
  /** All of them, as products from textures take them; where there are such. */
  packed?: PackedMatrix;
  /** Their biases one after the other, `[rows of all]` f32. */
  bias?: GPUBuffer;
}

/** One dispatch's work: see few_rows.wgsl and matvec_fused.wgsl, which give the same bits. */
export interface FusedProduct extends Omit<FewRowsArgs, "weight"> {
  stack: Stack;
}

/**
 * Records it where a kernel can do it at once: from textures on software adapters, from the weights as they are stored on GPUs.
 *
 * @returns whether it was done; else it is for the caller to go step by step
 */
export function fusedProduct(recorder: Recorder, { stack, ...args }: FusedProduct): boolean {
  const { gpu } = recorder;
  if (gpu.profile === "software") {
    if (!stack.packed || !takesFew(gpu, args.rows)) return false;
    fewRows(recorder, { ...args, weight: stack.packed });
    return true;
  }
  const { linears, bias = linears.length === 1 ? linears[0].bias : undefined } = stack;
  // Biases that do not lie together, or before an activation, are added by themselves.
  if (linears.some((linear) => linear.bias) && (!bias || args.form !== "store")) return false;
  const product = { ...args, weights: linears.map(({ weight }) => weight), bias };
  if (!fitsFused(gpu, product)) return false;
  matvecFused(recorder, product);
  return true;
}
