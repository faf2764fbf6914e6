/** Products of few rows under an adapter: three dispatches for all that have one input, with what stands around them in a block. */

import { fitsProduct, type FusedProduct, fusedProduct } from "./fused_product.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { type AdaptedPart, addShares, fitsShares } from "./ops/add_shares.ts";
import { matvecFused, takesFused } from "./ops/matvec_fused.ts";
import type { Scratch } from "./scratch.ts";
import type { WeightMatrix } from "./weights/matrix.ts";
import type { Linear } from "./weights/model_weights.ts";

/**
 * Records the products with the norm before, what the factors A make of the same input, and the sum with what is done after. The
 * bits are those of the steps.
 *
 * @returns whether it was done; else it is for the caller to go step by step
 */
export function adaptedProduct(
  recorder: Recorder,
  scratch: Scratch,
  { stack, x, norm, out, rows, form }: FusedProduct,
): boolean {
  const { factors, width, parts } = factorsOf(stack.linears);
  const stored = { x, norm, rows, form: "store" } as const;
  const columns = parts.reduce((sum, { count }) => sum + count, 0);
  const { limits } = recorder.gpu;
  const fits = 4 * rows * columns <= limits.maxStorageBufferBindingSize &&
    fitsShares({ parts, form }) && takesFused({ ...stored, weights: factors }) &&
    fitsProduct(recorder.gpu, { ...stored, stack });
  if (!fits) return false;
  const own = form === "store" ? undefined : scratch.take(columns);
  const products = own ?? out;
  fusedProduct(recorder, { ...stored, stack, out: products });
  const low = scratch.take(width);
  matvecFused(recorder, { ...stored, weights: factors, out: low });
  addShares(recorder, { x: products, low, lowWidth: width, parts, out, rows, form });
  for (const buffer of own ? [own, low] : [low]) scratch.drop(buffer);
  return true;
}

/** The factors A, each once, and where what they make lies side by side. */
function factorsOf(
  linears: readonly Linear[],
): { factors: WeightMatrix[]; width: number; parts: AdaptedPart[] } {
  const places = new Map<WeightMatrix, number>();
  let width = 0;
  const parts = linears.map(({ weight, lora }): AdaptedPart => {
    const count = weight.rows;
    if (!lora) return { count };
    const { a, b, scale } = lora;
    if (!places.has(a)) {
      places.set(a, width);
      width += a.rows;
    }
    return { count, share: { b, first: places.get(a)!, scale } };
  });
  return { factors: [...places.keys()], width, parts };
}
