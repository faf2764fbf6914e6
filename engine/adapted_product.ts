/** Products of few rows under an adapter: three dispatches for all that have one input, with what stands around them in a block. */

import { fitsProduct, type FusedProduct, fusedProduct } from "./fused_product.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { type AdaptedPart, addShares, fitsShares } from "./ops/add_shares.ts";
import { fewRows } from "./ops/few_rows.ts";
import { matvecFused, takesFused } from "./ops/matvec_fused.ts";
import type { Scratch } from "./scratch.ts";
import type { WeightMatrix } from "./weights/matrix.ts";
import type { Linear } from "./weights/model_weights.ts";
import type { PackedMatrix } from "./weights/packed.ts";

/**
 * Records the products with the norm before, what the factors A make of the same input, and the sum with what is done after. The
 * bits are those of the steps.
 *
 * @returns whether it was done; else it is for the caller to go step by step
 */
export function adaptedProduct(
  recorder: Recorder,
  scratch: Scratch,
  { stack, x, join, norm, out, rows, form }: FusedProduct,
): boolean {
  const stored = { x, norm, rows, form: "store" } as const;
  const lowering = loweringOf(stack.linears);
  const { parts } = lowering;
  const columns = parts.reduce((sum, { count }) => sum + count, 0);
  const { gpu } = recorder;
  const fits = 4 * rows * columns <= gpu.limits.maxStorageBufferBindingSize &&
    fitsShares({ parts, form }) && fitsProduct(gpu, { ...stored, join, stack }) &&
    (lowering.packed || takesFused(gpu, { ...stored, weights: lowering.factors }));
  if (!fits) return false;
  const own = form === "store" ? undefined : scratch.take(columns);
  const products = own ?? out;
  fusedProduct(recorder, { ...stored, join, stack, out: products });
  const { packed, factors, width } = lowering;
  const low = scratch.take(width);
  const lowered = { ...stored, x: join?.sum ?? x, out: low };
  if (packed) fewRows(recorder, { ...lowered, weight: packed });
  else matvecFused(recorder, { ...lowered, weights: factors });
  addShares(recorder, { x: products, low, lowWidth: width, parts, out, rows, form });
  for (const buffer of own ? [own, low] : [low]) scratch.drop(buffer);
  return true;
}

/** The factors A of some layers with one input, and where in what they make of it each layer's columns are. */
interface Lowering {
  /** Each once. */
  factors: WeightMatrix[];
  /** All of them, where they are packed. */
  packed?: PackedMatrix;
  /** Columns of what they make. */
  width: number;
  parts: AdaptedPart[];
}

function loweringOf(linears: readonly Linear[]): Lowering {
  const loras = linears.flatMap(({ lora }) => lora ?? []);
  const factors = [...new Set(loras.map(({ a }) => a))];
  const packed = loras[0]?.low?.stack;
  const firsts = new Map<WeightMatrix, number>();
  let width = 0;
  for (const a of factors) {
    firsts.set(a, width);
    width += a.rows;
  }
  const parts = linears.map(({ weight: { rows: count }, lora }): AdaptedPart => {
    if (!lora) return { count };
    const { a, b, scale, low } = lora;
    return { count, share: { b, first: low?.first ?? firsts.get(a)!, scale } };
  });
  return { factors, packed, width: packed?.rows ?? width, parts };
}
