/**
 * How far a mean difference can be trusted: bootstrap over the documents it is the mean of (resamples of as many documents, with
 * replacement), and samples of fewer documents, which tell how many would have been enough.
 */

import type { Ranked } from "../engine/ops/ranking.ts";
import { vectorNorm } from "./patchscope.ts";
import type { TokenProb } from "./readout.ts";
import { cosine, countedMean, drawCounts, quantile, SAMPLE_STREAMS } from "./resample.ts";

/** Resamples of the bootstrap. */
export const BOOTSTRAP_DRAWS = 100;
/** Samples of each smaller size. */
export const SIZE_DRAWS = 32;
/** Tokens whose ranks are followed. */
export const STABLE_TOP = 20;
/** A mean of so many documents is enough if its cosine with the mean of all is so high on average … */
export const ENOUGH_COSINE = 0.95;
/** … and its top tokens are so often those of the mean of all. */
export const ENOUGH_OVERLAP = 0.9;

/** A value and the interval of the bootstrap's middle 90 %. */
export interface Interval {
  value: number;
  low: number;
  high: number;
}

/** A token that the logit lens reads in the mean, and its rank (1 is the likeliest) among the resamples. */
export interface StableToken extends TokenProb {
  /** The 5th percentile, the median and the 95th; null beyond the last rank that is read. */
  rank: { low: number | null; median: number | null; high: number | null };
}

/** Samples of one size against the mean of all. */
export interface SampleSize {
  documents: number;
  cosine: number;
  /** The 5th percentile of the cosine. */
  low_cosine: number;
  /** Mean share of the top tokens that are those of the mean of all. */
  overlap: number;
}

/** The stability of the mean difference of one layer at one position. */
export interface Stability {
  /** Cosine of the resamples' means with the mean: on average, and its 5th percentile. */
  cosine: { mean: number; low: number };
  /** ‖mean‖ over the norm of the finetuned model's activations. */
  relative_norm: Interval;
  /** The mean's top tokens. */
  tokens: StableToken[];
  /** By size, rising: powers of 2 up to the number of documents. */
  sizes: SampleSize[];
  /** The smallest of these sizes that is enough, by direction and by top tokens; null if none is. */
  enough: { cosine: number | null; tokens: number | null };
}

/** How often each document is drawn in each sample; for all layers and positions the same. */
export interface StabilityDraws {
  bootstrap: Uint32Array[];
  sizes: { documents: number; counts: Uint32Array[] }[];
}

/**
 * Draws the samples. Those of a size are drawn with replacement too, as new documents would be: the last size has the
 * bootstrap's own spread, and not none.
 */
export function stabilityDraws(documents: number, seed: number): StabilityDraws {
  const { bootstrap: stream, sizes: sizesStream } = SAMPLE_STREAMS;
  const all = { documents, size: documents, draws: BOOTSTRAP_DRAWS, seed, stream };
  const sizes: StabilityDraws["sizes"] = [];
  for (let size = 1; size <= documents; size *= 2) {
    // The smaller sizes' draws together are fewer than what lies before this number.
    const first = size * SIZE_DRAWS;
    const drawn = { documents, size, draws: SIZE_DRAWS, seed, stream: sizesStream, first };
    sizes.push({ documents: size, counts: drawCounts(drawn) });
  }
  return { bootstrap: drawCounts(all), sizes };
}

/** What {@link stability} needs besides the differences. */
export interface StabilityOptions {
  hidden: number;
  /** Of as many documents as there are rows. */
  draws: StabilityDraws;
  /** The norm by which the mean's is divided. */
  norm: number;
  /** The likeliest tokens of each vector, likeliest first, more than {@link STABLE_TOP} of them. */
  read: (vectors: readonly Float32Array[]) => Promise<Ranked[][]>;
  /** A token as it is shown. */
  named: (ranked: Ranked) => TokenProb;
}

/** The stability of the mean of rows `[documents, hidden]`; null where the mean has no direction. */
export async function stability(
  rows: Float32Array,
  options: StabilityOptions,
): Promise<Stability | null> {
  const { hidden, norm, draws, read, named } = options;
  const mean = countedMean(rows, new Uint32Array(rows.length / hidden).fill(1));
  const length = vectorNorm(mean);
  if (length === 0) return null;
  const means = draws.bootstrap.map((counts) => countedMean(rows, counts));
  const [top, ...lists] = await read([mean, ...means]);
  const cosines = means.map((drawn) => cosine(drawn, mean));
  const lengths = means.map((drawn) => vectorNorm(drawn) / norm);
  const leading = top.slice(0, STABLE_TOP);
  const sizes = await sampleSizes(rows, mean, leading, options);
  const enough = (isEnough: (size: SampleSize) => boolean) =>
    sizes.find(isEnough)?.documents ?? null;
  return {
    cosine: { mean: average(cosines), low: quantile(cosines, 0.05) },
    relative_norm: {
      value: length / norm,
      low: quantile(lengths, 0.05),
      high: quantile(lengths, 0.95),
    },
    tokens: leading.map((token) => ({ ...named(token), rank: ranksOf(token.id, lists) })),
    sizes,
    enough: {
      cosine: enough(({ cosine }) => cosine >= ENOUGH_COSINE),
      tokens: enough(({ overlap }) => overlap >= ENOUGH_OVERLAP),
    },
  };
}

async function sampleSizes(
  rows: Float32Array,
  mean: Float32Array,
  leading: readonly Ranked[],
  { draws, read }: StabilityOptions,
): Promise<SampleSize[]> {
  const wanted = new Set(leading.map(({ id }) => id));
  const sizes: SampleSize[] = [];
  for (const { documents, counts } of draws.sizes) {
    const means = counts.map((drawn) => countedMean(rows, drawn));
    const cosines = means.map((vector) => cosine(vector, mean));
    const overlaps = (await read(means)).map((list) =>
      list.slice(0, wanted.size).filter(({ id }) => wanted.has(id)).length / wanted.size
    );
    sizes.push({
      documents,
      cosine: average(cosines),
      low_cosine: quantile(cosines, 0.05),
      overlap: average(overlaps),
    });
  }
  return sizes;
}

function ranksOf(id: number, lists: readonly Ranked[][]): StableToken["rank"] {
  const ranks = lists.map((list) => {
    const place = list.findIndex((ranked) => ranked.id === id);
    return place < 0 ? Infinity : place + 1;
  });
  const at = (q: number) => {
    const rank = quantile(ranks, q);
    return rank === Infinity ? null : rank;
  };
  return { low: at(0.05), median: at(0.5), high: at(0.95) };
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
