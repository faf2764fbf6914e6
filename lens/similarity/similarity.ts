/**
 * Steering similarity (METHOD 3): whether what a steered model writes is like what it was finetuned on. The number is the mean
 * cosine over all pairs of a generated text and a finetuning text; it means something beside the same number of unsteered
 * texts, and beside the similarity of both to generic texts, which steering should not raise.
 */

import { TextError } from "../../engine/errors.ts";
import { type Interval, middle95, resampledMeans } from "./bootstrap.ts";
import { SIMILARITY_STREAMS as STREAMS, someOf } from "./draws.ts";
import type { EmbedOptions, TextEmbedder, TextVector } from "./embedder.ts";
import type { JsonValue } from "../results/stable_json.ts";
import { dotMean, meanAmong, meanVector, unitVector } from "./vectors.ts";

/** How many finetuning texts the paper compares with; of generic ones as many are taken. */
export const REFERENCE_TEXTS = 500;

/** Texts to compare, and how. Empty texts count as like nothing: cosine 0. */
export interface SimilarityRequest extends EmbedOptions {
  /** Written by the steered and by the unsteered model; at least one each. */
  steered: readonly string[];
  unsteered: readonly string[];
  /** What the model was finetuned on; of many, some are taken at random. */
  finetuning: readonly string[];
  /** Texts that neither finetuning nor steering is about; likewise. */
  generic: readonly string[];
  embedder: TextEmbedder;
  /** Of the choice of texts and of the bootstrap: a whole number in [0, 2⁵³). */
  seed: number;
  /** How many finetuning texts, and how many generic ones, at most (default: {@link REFERENCE_TEXTS}). */
  references?: number;
}

/** Mean cosines of steered and unsteered texts with a set of texts, and their difference. */
interface Compared<T> {
  steered: T;
  unsteered: T;
  /** Steered less unsteered. */
  difference: T;
}

/** What {@link similarityOf} finds. Cosines are in [−1, 1]. */
export interface Similarity extends Compared<number> {
  /** The null: the same with generic texts in the place of the finetuning's. */
  generic: Compared<number>;
  /** 95 % intervals of all these by bootstrap over the generated texts, each taken to be independent of the others. */
  confidence: Compared<Interval> & { generic: Compared<Interval> };
  /** What the cosines can be measured by: those of the finetuning texts with each other, and with the generic ones. */
  references: { among_finetuning: number | null; generic_to_finetuning: number };
  /** How many texts of each kind were compared. */
  texts: { steered: number; unsteered: number; finetuning: number; generic: number };
  /** {@link TextEmbedder.name}. */
  embedder: string;
  seed: number;
}

/** The scores of single texts: their mean cosines with the finetuning's texts and with generic ones. */
export type TextScores = Record<
  "steered" | "unsteered",
  { finetuning: number[]; generic: number[] }
>;

/** What the numbers of a {@link Similarity} can be derived from again. */
export interface SimilarityKept {
  scores: TextScores;
  /** The texts that were compared with. */
  finetuning: string[];
  generic: string[];
  /** {@link TextEmbedder.state}; null where a model embedded. */
  embedder: JsonValue;
}

/**
 * Compares steered and unsteered texts with the finetuning's and with generic ones.
 *
 * @throws {TextError} if there is no text of a kind; errors of the embedder pass through
 */
export async function similarityOf(request: SimilarityRequest): Promise<Similarity> {
  return (await compareTexts(request)).found;
}

/**
 * As {@link similarityOf}, with what its numbers were made of.
 *
 * @throws {TextError} if there is no text of a kind; errors of the embedder pass through
 */
export async function compareTexts(
  request: SimilarityRequest,
): Promise<{ found: Similarity; kept: SimilarityKept }> {
  const { steered, unsteered, embedder, seed, references = REFERENCE_TEXTS } = request;
  const kinds = {
    steered,
    unsteered,
    finetuning: someOf(request.finetuning, references, seed, STREAMS.finetuning),
    generic: someOf(request.generic, references, seed, STREAMS.generic),
  };
  for (const [kind, texts] of Object.entries(kinds)) {
    if (texts.length === 0) {
      throw new TextError(`Cannot measure similarity: there are no ${kind} texts`);
    }
  }
  const all = await unitVectors(Object.values(kinds).flat(), embedder, request);
  const take = (texts: readonly string[]) => all.splice(0, texts.length);
  const vectors = {
    steered: take(kinds.steered),
    unsteered: take(kinds.unsteered),
    finetuning: take(kinds.finetuning),
    generic: take(kinds.generic),
  };
  const means = [vectors.finetuning, vectors.generic].map(meanVector);
  const scoresOf = (units: TextVector[]) => {
    const [finetuning, generic] = means.map((mean) => units.map((unit) => dotMean(unit, mean)));
    return { finetuning, generic };
  };
  const scores = {
    steered: scoresOf(vectors.steered),
    unsteered: scoresOf(vectors.unsteered),
  };
  const found: Similarity = {
    ...meansOfScores(scores, seed),
    references: {
      among_finetuning: meanAmong(vectors.finetuning),
      generic_to_finetuning: average(vectors.generic.map((unit) => dotMean(unit, means[0]))),
    },
    texts: {
      steered: steered.length,
      unsteered: unsteered.length,
      finetuning: kinds.finetuning.length,
      generic: kinds.generic.length,
    },
    embedder: embedder.name,
    seed,
  };
  const { finetuning, generic } = kinds;
  return { found, kept: { scores, finetuning, generic, embedder: embedder.state?.() ?? null } };
}

/** The part of a {@link Similarity} that single texts' scores decide. */
export function meansOfScores(
  { steered, unsteered }: TextScores,
  seed: number,
): Compared<number> & Pick<Similarity, "generic" | "confidence"> {
  const both = (scores: TextScores["steered"]) => [scores.finetuning, scores.generic];
  const [finetuning, generic] = compared(both(steered), both(unsteered), seed);
  return {
    ...finetuning.mean,
    generic: generic.mean,
    confidence: { ...finetuning.interval, generic: generic.interval },
  };
}

/** Means and intervals of each kind of score. */
function compared(steered: number[][], unsteered: number[][], seed: number) {
  const drawnSteered = resampledMeans(steered, seed, STREAMS.steered);
  const drawnUnsteered = resampledMeans(unsteered, seed, STREAMS.unsteered);
  return steered.map((scores, kind) => {
    const means = [average(scores), average(unsteered[kind])];
    const [a, b] = [drawnSteered[kind], drawnUnsteered[kind]];
    const mean: Compared<number> = {
      steered: means[0],
      unsteered: means[1],
      difference: means[0] - means[1],
    };
    const interval: Compared<Interval> = {
      steered: middle95(a),
      unsteered: middle95(b),
      difference: middle95(a.map((value, r) => value - b[r])),
    };
    return { mean, interval };
  });
}

/** A vector of length 1 for each text, of length 0 for one that is empty: embedders are not asked about those. */
async function unitVectors(
  texts: readonly string[],
  embedder: TextEmbedder,
  { progress, signal }: EmbedOptions,
): Promise<TextVector[]> {
  const written = texts.filter((text) => text.trim() !== "");
  const found = (await embedder.embed(written, { progress, signal })).map(unitVector);
  return texts.map((text) => text.trim() === "" ? { values: [] } : found.shift()!);
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
