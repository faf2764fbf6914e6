/** Directions that an intervention is compared with: those in which nothing of the finetuning should be. */

import { batchSize, tokensPerBatch } from "../../engine/batch_room.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { SKIP_TOKENS } from "../diff.ts";
import { randomDirection } from "../nulls.ts";
import { vectorNorm } from "../patchscope.ts";
import { randomBelow } from "../random.ts";

/** Streams of this folder's draws; see `random.ts`. */
export const CAUSAL_STREAMS = { pairs: 32, bootstrap: 33 } as const;

/** The readout's random directions have the numbers before this one. */
const FIRST_DIRECTION = 1 << 20;

/** `count` random directions of length 1, `[hidden]` each. */
export function randomDirections(
  hidden: number,
  count: number,
  seed: number,
): Float32Array<ArrayBuffer>[] {
  return Array.from(
    { length: count },
    (_, i) => randomDirection(hidden, 1, seed, FIRST_DIRECTION + i),
  );
}

/** A token of a set of documents. */
interface Place {
  document: number;
  position: number;
}

/**
 * Differences of `count` random pairs of the model's activations after `layer`: directions that the model does use. The first
 * {@link SKIP_TOKENS} positions, which carry outliers, are left out where documents are longer. A pair of equal activations has
 * no difference and is left out, so there may be fewer.
 */
export async function randomDifferences(
  model: Transformer,
  documents: readonly ArrayLike<number>[],
  options: { layer: number; count: number; seed: number; signal?: AbortSignal },
): Promise<Float32Array<ArrayBuffer>[]> {
  const pairs = drawPairs(documents, options.count, options.seed);
  const rows = await activationsAt(model, documents, pairs.flat(), options);
  return pairs
    .map((_, i) => rows[2 * i].map((value, at) => value - rows[2 * i + 1][at]))
    .filter((difference) => vectorNorm(difference) > 0);
}

/** Pairs of different tokens, every token as likely as the next. */
function drawPairs(
  documents: readonly ArrayLike<number>[],
  count: number,
  seed: number,
): [Place, Place][] {
  const longest = documents.reduce((most, { length }) => Math.max(most, length), 0);
  const skip = longest > SKIP_TOKENS ? SKIP_TOKENS : 0;
  const places = documents.flatMap(({ length }, document) =>
    Array.from({ length: Math.max(0, length - skip) }, (_, i) => ({ document, position: skip + i }))
  );
  if (places.length < 2) return [];
  return Array.from({ length: count }, (_, i) => {
    const draw = (which: number, bound: number) =>
      randomBelow(seed, CAUSAL_STREAMS.pairs, 2 * i + which, bound);
    const first = draw(0, places.length);
    const second = draw(1, places.length - 1);
    return [places[first], places[second < first ? second : second + 1]];
  });
}

/** The residual after `layer` at each place, `[hidden]`. */
async function activationsAt(
  model: Transformer,
  documents: readonly ArrayLike<number>[],
  places: readonly Place[],
  { layer, signal }: { layer: number; signal?: AbortSignal },
): Promise<Float32Array<ArrayBuffer>[]> {
  const used = [...new Set(places.map(({ document }) => document))].sort((a, b) => a - b);
  const residuals = await residualsAfter(model, used.map((d) => documents[d]), layer, signal);
  const placeOf = new Map(used.map((document, i) => [document, i]));
  const { hiddenSize } = model.spec;
  return places.map(({ document, position }) =>
    residuals[placeOf.get(document)!].slice(position * hiddenSize, (position + 1) * hiddenSize)
  );
}

/** The residual after `layer` of whole documents: `[tokens, hidden]` each. */
export async function residualsAfter(
  model: Transformer,
  documents: readonly ArrayLike<number>[],
  layer: number,
  signal?: AbortSignal,
): Promise<Float32Array<ArrayBuffer>[]> {
  const hook = `blocks.${layer}.hook_resid_post`;
  const { hiddenSize } = model.spec;
  const residuals: Float32Array<ArrayBuffer>[] = [];
  while (residuals.length < documents.length) {
    signal?.throwIfAborted();
    const first = residuals.length;
    const count = batchSize(documents, first, tokensPerBatch(model.gpu, model));
    const batch = model.batch(documents.slice(first, first + count));
    const captured = await model.forward(batch, { capture: [hook] });
    const values = await captured.get(hook).read().finally(() => captured.release());
    for (let s = 0; s < count; s++) {
      const [from, to] = [batch.offsets[s], batch.offsets[s + 1]];
      residuals.push(values.slice(from * hiddenSize, to * hiddenSize));
    }
  }
  return residuals;
}
