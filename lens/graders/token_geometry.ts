/**
 * How alike tokens are in a model's own embedding geometry: mean cosines of their centred unembedding rows, and what chance
 * gives for as many tokens, measured on 256 sets drawn by a seed.
 */

import { randomBelow } from "../random.ts";
import { CentredRows, dot, isImpossibleByte, type RowOf } from "./centred_rows.ts";

/** Random sets drawn for each size. */
const DRAWS = 256;

/** Words that stand for the vocabulary: enough for a steady centre, few enough to read from a large model. */
const POOL_SIZE = 4096;

/** Streams of the draws; see {@link randomBelow}. */
const POOL_STREAM = 2;
const SET_STREAM = 3;

/** Percentile of chance above which a token belongs to its set. */
const COHERENT_PERCENTILE = 0.95;

/** Which tokens the geometry is measured on. */
export interface ReferenceTokens {
  /** Words drawn from the vocabulary; random sets come from these. */
  pool: number[];
  /** Tokens that no text holds; see `centred_rows.ts`. */
  impossible: number[];
}

/** What chance gives for sets of one size. */
export interface Chance {
  /** Mean and standard deviation of the mean pairwise cosine. */
  mean: number;
  deviation: number;
  /** 95th percentile of one token's mean cosine to the others of its set. */
  coherent: number;
}

/**
 * The tokens whose rows a {@link TokenGeometry} needs beside those that it is asked about.
 *
 * @param vocabSize ids are 0 to `vocabSize − 1`
 * @param textOf the text of a token
 * @param isGeneric whether a token says nothing of a topic and stays out of the pool
 * @param seed of the draw, where there are more than 4,096 words
 */
export function referenceTokens(
  vocabSize: number,
  textOf: (id: number) => string,
  isGeneric: (id: number) => boolean,
  seed: number,
): ReferenceTokens {
  const ids = Array.from({ length: vocabSize }, (_, id) => id);
  const words = ids.filter((id) => !isGeneric(id));
  const draw = (i: number, bound: number) => randomBelow(seed, POOL_STREAM, i, bound);
  return {
    pool: sample(words, Math.min(POOL_SIZE, words.length), draw),
    impossible: ids.filter((id) => isImpossibleByte(textOf(id))),
  };
}

/** Cosines between tokens, and what chance gives for them. */
export class TokenGeometry {
  #rows: CentredRows;
  #pool: number[];
  #chance = new Map<number, Chance>();

  /**
   * @param row the unembedding row of a token, `[hidden]`: asked for the references and for tokens of lists
   * @param references see {@link referenceTokens}; a pool of at least one
   */
  constructor(row: RowOf, references: ReferenceTokens, private readonly seed: number) {
    this.#rows = new CentredRows(row, references.pool, references.impossible);
    this.#pool = references.pool.filter((id) => this.isTrained(id));
  }

  /** Whether training reached the token; others have no meaning to compare. */
  isTrained(id: number): boolean {
    return this.#rows.isTrained(id);
  }

  /** The mean cosine of each token to the others, for at least two tokens. */
  cosinesToOthers(ids: readonly number[]): number[] {
    const units = ids.map((id) => this.#rows.unit(id));
    const sum = new Float64Array(this.#rows.hidden);
    for (const unit of units) for (let i = 0; i < sum.length; i++) sum[i] += unit[i];
    return units.map((unit) => (dot(unit, sum) - dot(unit, unit)) / (ids.length - 1));
  }

  /** What chance gives for sets of `size` tokens (at least two), or null if the pool is too small to tell. */
  chance(size: number): Chance | null {
    if (this.#pool.length < 2 * size) return null;
    const known = this.#chance.get(size) ?? this.#drawChance(size);
    this.#chance.set(size, known);
    return known;
  }

  #drawChance(size: number): Chance {
    const single: number[] = [];
    const means: number[] = [];
    for (let set = 0; set < DRAWS; set++) {
      const first = (size * DRAWS + set) * size;
      const draw = (i: number, bound: number) =>
        randomBelow(this.seed, SET_STREAM, first + i, bound);
      const cosines = this.cosinesToOthers(sample(this.#pool, size, draw));
      single.push(...cosines);
      means.push(average(cosines));
    }
    single.sort((a, b) => a - b);
    const mean = average(means);
    return {
      mean,
      deviation: Math.sqrt(average(means.map((value) => (value - mean) ** 2))),
      coherent: single[Math.floor(COHERENT_PERCENTILE * single.length)],
    };
  }
}

/** The mean of numbers; NaN for none. */
export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** `size` different entries of `from`: the beginning of a Fisher–Yates shuffle. */
function sample(
  from: readonly number[],
  size: number,
  draw: (i: number, bound: number) => number,
): number[] {
  // What was moved is kept apart, so that a long list need not be copied for each draw.
  const moved = new Map<number, number>();
  return Array.from({ length: size }, (_, i) => {
    const j = i + draw(i, from.length - i);
    const chosen = moved.get(j) ?? from[j];
    moved.set(j, moved.get(i) ?? from[i]);
    return chosen;
  });
}
