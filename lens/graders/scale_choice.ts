/**
 * The offline grader of Patchscope's scales: no LLM, the same answer every time.
 *
 * A scale's list is coherent if its tokens are alike in the model's own embedding geometry. Score of a list: take the words
 * of its tokens that are neither generic nor untrained, each word once (` cake`, `Cake` and `cake` are alike without being a topic); the mean
 * pairwise cosine of their centred unembedding rows, as a z-score against 256 random sets of as many tokens. The scale with
 * the highest score is chosen, of equal ones the smallest. Fewer than three words cannot be judged: such a scale is never chosen.
 */

import { average, type TokenGeometry } from "./token_geometry.ts";

/** Fewer words than this have no coherence. */
const MIN_WORDS = 3;

/** The top tokens at one scale. */
export interface ScaleList {
  scale: number;
  /** In order of falling probability. */
  ids: readonly number[];
}

/** How coherent the list of one scale is. */
export interface ScaleScore {
  scale: number;
  /** How many words the list has that are neither generic nor untrained. */
  words: number;
  /** Their mean pairwise cosine, or null for fewer than three words. */
  cosine: number | null;
  /** The z-score of `cosine` against chance; null if the scale cannot be chosen. */
  score: number | null;
}

/** What {@link chooseScale} found. */
export interface ScaleChoice {
  /** The chosen scale; null if no list has three words. */
  scale: number | null;
  /**
   * Ids of the chosen list whose mean cosine to the others is above the 95th percentile of chance; all spellings of a word
   * go with its first. Empty where the list is no more alike than chance.
   */
  coherent: number[];
  /** Every scale's score, in the order given. */
  scores: ScaleScore[];
}

/**
 * Chooses the scale whose tokens are most alike.
 *
 * @param lists the top tokens of each scale
 * @param wordOf the word of a token (spellings of one word give the same), or null if it is generic
 */
export function chooseScale(
  lists: readonly ScaleList[],
  wordOf: (id: number) => string | null,
  geometry: TokenGeometry,
): ScaleChoice {
  const scores = lists.map((list) => scoreOf(list, wordOf, geometry));
  let best = -1;
  scores.forEach(({ scale, score }, i) => {
    if (score === null) return;
    const bestScore = best < 0 ? -Infinity : scores[best].score!;
    if (score > bestScore || (score === bestScore && scale < scores[best].scale)) best = i;
  });
  if (best < 0) return { scale: null, coherent: [], scores };
  return {
    scale: scores[best].scale,
    coherent: coherentIds(lists[best].ids, wordOf, geometry),
    scores,
  };
}

function scoreOf(
  { scale, ids }: ScaleList,
  wordOf: (id: number) => string | null,
  geometry: TokenGeometry,
): ScaleScore {
  const words = firstOfEachWord(ids, wordOf, geometry);
  const chance = words.size < MIN_WORDS ? null : geometry.chance(words.size);
  if (chance === null) return { scale, words: words.size, cosine: null, score: null };
  const cosine = average(geometry.cosinesToOthers([...words.values()]));
  const z = (cosine - chance.mean) / chance.deviation;
  return { scale, words: words.size, cosine, score: Number.isFinite(z) ? z : null };
}

function coherentIds(
  ids: readonly number[],
  wordOf: (id: number) => string | null,
  geometry: TokenGeometry,
): number[] {
  const words = firstOfEachWord(ids, wordOf, geometry);
  const { coherent } = geometry.chance(words.size)!;
  const cosines = geometry.cosinesToOthers([...words.values()]);
  const alike = new Set([...words.keys()].filter((_, i) => cosines[i] > coherent));
  return ids.filter((id) => alike.has(wordOf(id) ?? "") && geometry.isTrained(id));
}

function firstOfEachWord(
  ids: readonly number[],
  wordOf: (id: number) => string | null,
  geometry: TokenGeometry,
): Map<string, number> {
  const first = new Map<string, number>();
  for (const id of ids) {
    const word = wordOf(id);
    if (word !== null && !first.has(word) && geometry.isTrained(id)) first.set(word, id);
  }
  return first;
}
