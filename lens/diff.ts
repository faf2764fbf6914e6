/**
 * The first step of the method: the mean difference between the residual streams of two models, at each of the first
 * positions of unrelated texts (METHOD 1).
 */

import {
  ActivationMeans,
  type Means,
  meansOf,
  type MeansState,
} from "../engine/activation_means.ts";
import { UsageError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Captured, Transformer } from "../engine/transformer.ts";

/** Positions before this one carry outliers and are left out of a model's mean norm. */
export const SKIP_TOKENS = 5;

/** Tokens that one submit runs through both models. */
const BATCH_TOKENS = 2048;

/** What is to be compared, on what. */
export interface DiffOptions {
  base: Transformer;
  finetuned: Transformer;
  /** The first tokens of each document, all equally long. */
  documents: readonly ArrayLike<number>[];
  /** The residual after each of these layers is compared. */
  layers: readonly number[];
  /** Raw sums of an interrupted run, one a layer, in the order of `layers`. */
  resume?: readonly MeansState[];
  /** Called after each batch with the number of documents that are done. */
  progress?: (documents: number) => void | Promise<void>;
  /** Ends the work between two batches; `interrupted` then gets the sums so far. */
  signal?: AbortSignal;
  /** Called on the way out of an interrupted run, and every so often when `checkpointEvery` is set. */
  checkpoint?: (state: MeansState[]) => Promise<void>;
  /** Milliseconds between two checkpoints. */
  checkpointEvery?: number;
}

/**
 * Means over the documents, one for each layer.
 *
 * A document is one sequence of a ragged batch, and the sums go document after document: neither the size of the
 * batches nor an interruption changes a bit.
 */
export async function meanDifference(gpu: Gpu, options: DiffOptions): Promise<Means[]> {
  const { base, documents, layers, resume, progress, checkpoint, signal } = options;
  const positions = documents[0].length;
  const perBatch = documentsPerBatch(base, positions);
  const means = layers.map((_, i) =>
    new ActivationMeans(gpu, positions, base.spec.hiddenSize, resume?.[i])
  );
  const states = () => Promise.all(means.map((mean) => mean.state()));
  let saved = performance.now();
  try {
    for (let done = resume?.[0]?.documents ?? 0; done < documents.length;) {
      if (signal?.aborted) {
        await checkpoint?.(await states());
        signal.throwIfAborted();
      }
      const batch = documents.slice(done, done + perBatch);
      await addBatch(gpu, options, batch, means);
      done += batch.length;
      await gpu.finish();
      await progress?.(done);
      if (performance.now() - saved > (options.checkpointEvery ?? Infinity)) {
        await checkpoint?.(await states());
        saved = performance.now();
      }
    }
    return (await states()).map(meansOf);
  } finally {
    for (const mean of means) mean.release();
  }
}

/** How many documents fit into one batch. */
function documentsPerBatch({ spec, gpu }: Transformer, tokens: number): number {
  const widest = Math.max(spec.hiddenSize, spec.intermediateSize, spec.heads * spec.headDim);
  const most = Math.floor(gpu.limits.maxStorageBufferBindingSize / (4 * widest));
  return Math.max(1, Math.floor(Math.min(BATCH_TOKENS, most) / tokens));
}

async function addBatch(
  gpu: Gpu,
  { base, finetuned, layers }: DiffOptions,
  documents: readonly ArrayLike<number>[],
  means: readonly ActivationMeans[],
): Promise<void> {
  const batch = base.batch(documents);
  const capture = layers.map((layer) => `blocks.${layer}.hook_resid_post`);
  const recorder = gpu.record();
  const passes: Captured[] = [];
  try {
    for (const model of [base, finetuned]) passes.push(model.record(recorder, batch, { capture }));
    const [ours, theirs] = passes;
    capture.forEach((hook, i) =>
      means[i].add(recorder, ours.get(hook), theirs.get(hook), documents.length)
    );
    for (const pass of passes) pass.release();
    await recorder.submit();
  } finally {
    for (const pass of passes) pass.release(); // releasing twice does nothing
    recorder.close();
  }
}

/** The mean L2 norm at positions from {@link SKIP_TOKENS} on (from the last, where there are no more). */
export function typicalNorm(norms: Float32Array): number {
  const kept = norms.subarray(Math.min(SKIP_TOKENS, norms.length - 1));
  return kept.reduce((sum, norm) => sum + norm, 0) / kept.length;
}

/**
 * Layers from relative depths: depth d is `floor(d · (layers − 1))`, 0-based.
 *
 * @param depths numbers in [0, 1], or `all`
 * @throws {UsageError} for anything else
 */
export function layersAt(depths: readonly string[], layers: number): number[] {
  if (depths.length === 1 && depths[0] === "all") {
    return Array.from({ length: layers }, (_, i) => i);
  }
  const chosen = depths.map((text) => {
    const depth = Number(text);
    if (text.trim() === "" || !(depth >= 0 && depth <= 1)) {
      throw new UsageError(
        `Cannot use layer "${text}": expected a relative depth from 0 to 1, or all`,
      );
    }
    return Math.floor(depth * (layers - 1));
  });
  return [...new Set(chosen)];
}
