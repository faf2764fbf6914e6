/** Products of one input with what stands before and after them in a block, in one dispatch. */

import type { Gpu } from "./gpu/gpu.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { Choice } from "./gpu/tuning.ts";
import { fewRows, type FewRowsArgs, takesFew } from "./ops/few_rows.ts";
import { LANE_ROWS } from "./ops/matmul.ts";
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

/** What decides whether a kernel can do it at once. */
type Asked = Pick<FusedProduct, "stack" | "rows" | "join" | "norm" | "form">;

/** Whether so many rows are few enough for what joins the residual stream to be left to the next product. */
export function joinsRows(gpu: Gpu, rows: number): boolean {
  return gpu.profile === "software" ? takesFew(gpu, rows) : rows <= LANE_ROWS;
}

/** Whether {@link fusedProduct} does this: from textures on software adapters, from the weights as they are stored on GPUs. */
export function fitsProduct(gpu: Gpu, { stack, rows, join, norm, form }: Asked): boolean {
  if (join?.kind === "normed" && sublayerNorm(gpu, stack, rows) === "apart") return false;
  if (gpu.profile === "software") return stack.packed !== undefined && takesFew(gpu, rows);
  // Biases that do not lie together, or before an activation, are added by themselves.
  const biased = stack.linears.some(({ bias }) => bias);
  if (biased && (!biasOf(stack) || form !== "store")) return false;
  return fitsFused(gpu, { weights: stack.linears.map(({ weight }) => weight), rows, norm, form });
}

/**
 * Records it where {@link fitsProduct}.
 *
 * @returns whether it was done; else it is for the caller to go step by step
 */
export function fusedProduct(recorder: Recorder, { stack, ...args }: FusedProduct): boolean {
  const { gpu } = recorder;
  if (!fitsProduct(gpu, { stack, ...args })) return false;
  if (gpu.profile === "software") fewRows(recorder, { ...args, weight: stack.packed! });
  else {
    const weights = stack.linears.map(({ weight }) => weight);
    matvecFused(recorder, { ...args, weights, bias: biasOf(stack) });
  }
  return true;
}

/** Where a norm after a sublayer is done: as it was tuned, or else by the rule. */
function sublayerNorm({ tuning }: Gpu, { linears }: Stack, rows: number): Choice<"sublayer_norm"> {
  const weights = linears.reduce((sum, { weight }) => sum + weight.rows * weight.columns, 0);
  return tuning.choice("sublayer_norm", rows, weights) ?? "joined";
}

/** The biases of all, where there are some and they lie together. */
function biasOf({ linears, bias }: Stack): GPUBuffer | undefined {
  return bias ?? (linears.length === 1 ? linears[0].bias : undefined);
}
