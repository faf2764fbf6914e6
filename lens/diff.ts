/**
 * The first step of the method: the mean difference between the residual streams of two models, at each of the first
 * positions of unrelated texts (METHOD 1).
 */

import {
  ActivationSums,
  type Means,
  meansOf,
  type MeansState,
} from "../engine/activation_means.ts";
import { batchSize, tokensPerBatch } from "../engine/batch_room.ts";
import { UsageError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { InFlight } from "../engine/in_flight.ts";
import type { ModelPair } from "../models/model_shelf.ts";
import { addBatch, type Run } from "./diff_batch.ts";
import { sweep, SweepSize } from "./diff_sweep.ts";

/** Positions before this one carry outliers and are left out of a model's mean norm; of chats, counted from the answer. */
export const SKIP_TOKENS = 5;

export { batchSize, tokensPerBatch };

/** Of the tokens that a batch could have, the share that one of a sweep has. */
const SWEEP_SHARE = 0.6;

const SIDES = ["base", "finetuned"] as const;
type Side = typeof SIDES[number];

/** Raw sums of both models, one a layer. */
export type DiffState = Record<Side, MeansState[]>;

/** What is to be compared, on what. */
export interface DiffOptions {
  /** Run side by side where both fit on the device, else one after the other; the result is the same. */
  models: ModelPair;
  /** The tokens of each document. */
  documents: readonly ArrayLike<number>[];
  /** How many positions of each document are compared: its last ones (default: all, of equally long documents). */
  positions?: number;
  /** The residual after each of these layers is compared. */
  layers: readonly number[];
  /** Raw sums of an interrupted run, in the order of `layers`. */
  resume?: DiffState;
  /** Called after each batch with what is done, of {@link diffWork}. */
  progress?: (done: number) => void | Promise<void>;
  /** Ends the work between two batches; `interrupted` then gets the sums so far. */
  signal?: AbortSignal;
  /** Called on the way out of an interrupted run, and every so often when `checkpointEvery` is set. */
  checkpoint?: (state: DiffState) => Promise<void>;
  /** Milliseconds between two checkpoints. */
  checkpointEvery?: number;
}

/**
 * Means over the documents, one for each layer, at each of the last `positions` of a document.
 *
 * A document is one sequence of a ragged batch, and the sums go document after document: neither the size of the
 * batches nor an interruption changes a bit.
 */
export async function meanDifference(gpu: Gpu, options: DiffOptions): Promise<Means[]> {
  const { models, documents, layers, resume, progress, checkpoint, signal } = options;
  const positions = options.positions ?? documents[0].length;
  checkLengths(documents, positions);
  const begin = (side: Side) =>
    layers.map((_, i) =>
      new ActivationSums(gpu, positions, models.spec.hiddenSize, resume?.[side][i])
    );
  const sums = { base: begin("base"), finetuned: begin("finetuned") };
  const state = async (): Promise<DiffState> => {
    const states = await ActivationSums.states(gpu, SIDES.flatMap((side) => sums[side]));
    return { base: states.slice(0, layers.length), finetuned: states.slice(layers.length) };
  };
  const reached = (side: Side) => sums[side][0].documents;
  // An interrupted run of the other kind has brought one model further than the other.
  const together = models.together && reached("base") === reached("finetuned");
  let saved = performance.now();
  const flight = new InFlight(gpu);
  const report = (side: Side, done: number) =>
    progress?.(models.together ? done : done + reached(side === "base" ? "finetuned" : "base"));
  let kept: DiffState | undefined;
  try {
    for (const sides of together ? [SIDES] : SIDES.map((side) => [side])) {
      let size: SweepSize | undefined;
      for (let done = reached(sides[0]); done < documents.length;) {
        signal?.throwIfAborted();
        const runs: Run[] = [];
        for (const side of sides) runs.push({ model: await models[side](), sums: sums[side] });
        const begun = done;
        const streams = runs.flatMap(({ model }) => model.weights.stream ?? []);
        if (streams.length === 0) {
          done += batchSize(documents, done, tokensPerBatch(gpu, models));
          await addBatch(documents.slice(begun, done), layers, runs);
          const reached = done;
          await flight.add(() => report(sides[0], reached));
        } else {
          // Part of the memory is for residuals.
          const batchTokens = Math.ceil(tokensPerBatch(gpu, models) * SWEEP_SHARE);
          size ??= new SweepSize({ runs }, batchTokens);
          done += size.documents(documents, done);
          // Amid a sweep some layers have its documents and some have not.
          kept = await state();
          const [start, read] = [performance.now(), readingTime(streams)];
          await sweep(documents.slice(begun, done), {
            layers,
            runs,
            batchTokens,
            progress: (share) => report(sides[0], begun + Math.floor(share * (done - begun))),
            signal,
          });
          kept = undefined;
          size.learn(performance.now() - start, readingTime(streams) - read);
        }
        if (performance.now() - saved > (options.checkpointEvery ?? Infinity)) {
          await checkpoint?.(await state());
          saved = performance.now();
        }
      }
      await flight.drain();
    }
    const { base, finetuned } = await state();
    return base.map((ours, i) => meansOf(ours, finetuned[i]));
  } catch (error) {
    if (signal?.aborted) await checkpoint?.(kept ?? await state());
    throw error;
  } finally {
    for (const sum of [...sums.base, ...sums.finetuned]) sum.release();
  }
}

/** How much there is to do, and how much of it an interrupted run has done: documents, twice where each model has its turn. */
export function diffWork(
  { models, documents, resume }: Pick<DiffOptions, "models" | "documents" | "resume">,
): { total: number; begun: number } {
  const done = SIDES.map((side) => resume?.[side][0].documents ?? 0);
  return models.together
    ? { total: documents.length, begun: Math.min(...done) }
    : { total: 2 * documents.length, begun: done[0] + done[1] };
}

function checkLengths(documents: readonly ArrayLike<number>[], positions: number): void {
  const short = documents.find(({ length }) => length < positions);
  if (!short) return;
  throw new UsageError(
    `Cannot compare ${positions} positions: a document has only ${short.length} tokens`,
  );
}

/** What the streams have spent on reading, in milliseconds. */
function readingTime(streams: readonly { readonly readMs: number }[]): number {
  return streams.reduce((sum, { readMs }) => sum + readMs, 0);
}

/**
 * The mean L2 norm at positions from {@link SKIP_TOKENS} on (of the last one, where there are no more).
 *
 * @param norms by position
 * @param firstPosition what the first of them is called
 */
export function typicalNorm(norms: Float32Array, firstPosition = 0): number {
  const kept = norms.subarray(Math.min(SKIP_TOKENS - firstPosition, norms.length - 1));
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
