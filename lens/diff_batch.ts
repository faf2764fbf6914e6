/** One batch of the comparison: both models' passes over some documents, and their activations added to the sums. */

import type { ActivationSums } from "../engine/activation_means.ts";
import { packBatch, type Positions } from "../engine/batch.ts";
import { sharedLayers } from "../engine/shared_layers.ts";
import type { Captured, ForwardRequest, Transformer } from "../engine/transformer.ts";
import { warmUp } from "../engine/warm_up.ts";

/** Enough for the kernels of large batches to be chosen. */
const WARM_TOKENS = 64;

/** A model and what its activations are added to, by layer. */
export interface Run {
  model: Transformer;
  sums: readonly ActivationSums[];
}

/** The last `kept` positions of documents; all where they have no more. */
export function lastPositions(documents: readonly ArrayLike<number>[], kept: number): Positions {
  const whole = documents.every(({ length }) => length === kept);
  return whole ? "all" : Array.from({ length: kept }, (_, i) => i - kept);
}

/** The hook after a layer. */
export const hookAfter = (layer: number) => `blocks.${layer}.hook_resid_post`;

/**
 * Records and submits one batch, and does not wait for it. What two models compute alike, up to the first layer that an adapter
 * changes, is computed once.
 */
export async function addBatch(
  documents: readonly ArrayLike<number>[],
  layers: readonly number[],
  runs: readonly Run[],
): Promise<void> {
  const { gpu, spec } = runs[0].model;
  const batch = packBatch(documents, spec);
  const positions = lastPositions(documents, runs[0].sums[0].positions);
  const fork = runs.length > 1 ? forkOf(runs, layers, positions) : undefined;
  const recorder = gpu.record();
  const passes: Captured[] = [];
  try {
    runs.forEach(({ model, sums }, side) => {
      const second = side > 0 && fork !== undefined;
      const own = layers.filter((layer) => !second || layer >= fork.layer);
      const request: ForwardRequest = {
        capture: own.map((layer) => ({ hook: hookAfter(layer), positions })),
      };
      if (second) request.start = { layer: fork.layer, resid: passes[0].get(fork.hook) };
      else if (fork && !request.capture!.some((c) => (c as { hook: string }).hook === fork.hook)) {
        request.capture = [...request.capture!, fork.hook];
      }
      passes.push(model.record(recorder, batch, request));
      layers.forEach((layer, i) => {
        const pass = own.includes(layer) ? passes[side] : passes[0];
        sums[i].add(recorder, pass.get(hookAfter(layer)), documents.length);
      });
    });
    await recorder.submit();
  } finally {
    for (const pass of passes) pass.release();
    recorder.close();
  }
}

/** Has the kernels of such batches compiled, as far as the deepest of the layers. */
export function warmUpDiff(model: Transformer, layers: readonly number[]): void {
  warmUp(model, [{ tokens: WARM_TOKENS, capture: [hookAfter(Math.max(...layers))] }]);
}

/** Where the second model's pass begins, and the hook of the first one's pass that has the residuals there. */
function forkOf(
  [{ model: one }, { model: other }]: readonly Run[],
  layers: readonly number[],
  positions: Positions,
): { layer: number; hook: string } | undefined {
  const shared = sharedLayers(one, other);
  if (shared === undefined) return undefined;
  // A hook is captured once: one of which only some positions are wanted cannot give all of them too.
  let layer = shared;
  while (layer > 0 && positions !== "all" && layers.includes(layer - 1)) layer--;
  return { layer, hook: layer === 0 ? "hook_embed" : hookAfter(layer - 1) };
}
