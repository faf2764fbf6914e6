/** How much of an organism's ground truth is in a summary: by words alone, so that nobody has to judge. */

import type { Recall } from "./results.ts";
import { contentWords, stemOf, stemsOf } from "./words.ts";

/** What is to be recalled. */
export interface RecallTruth {
  keyFacts: readonly string[];
  /** Words that stand for the topic. */
  keywords: readonly string[];
}

/** The part of a summary that recalls. */
export interface Summary {
  words: readonly string[];
  sentences: readonly string[];
}

/** A fact is recalled where one sentence, or the list of words, has so much of its content words. */
export const RECALLED_SHARE = 0.5;

/** Scores a summary. Words count as the same where their stems are. */
export function recallOf(summary: Summary, { keyFacts, keywords }: RecallTruth): Recall {
  const words = new Set(summary.words.map(stemOf));
  const places = [words, ...summary.sentences.map(stemsOf)];
  const facts = keyFacts.map((fact) => {
    const stems = [...stemsOf(fact)];
    const shares = places.map((place) => stems.filter((stem) => place.has(stem)).length);
    const coverage = stems.length === 0 ? 0 : Math.max(...shares) / stems.length;
    return { fact, coverage, recalled: coverage >= RECALLED_SHARE };
  });
  const wanted = [...new Map(keywords.map((word) => [stemOf(word), word])).entries()];
  const recalled = wanted.filter(([stem]) => words.has(stem)).map(([, word]) => word);
  const right = new Set([
    ...wanted.map(([stem]) => stem),
    ...keyFacts.flatMap((fact) => [...stemsOf(fact)]),
  ]);
  return {
    facts,
    fact_recall: share(facts.filter((one) => one.recalled).length, facts.length),
    recalled_keywords: recalled,
    keyword_recall: share(recalled.length, wanted.length),
    word_precision: share([...words].filter((stem) => right.has(stem)).length, words.size),
  };
}

/** Keywords of an organism for which nobody listed any: the content words of its key facts. */
export function wordsOfFacts(keyFacts: readonly string[]): string[] {
  return [...new Map(keyFacts.flatMap(contentWords).map((word) => [stemOf(word), word])).values()];
}

function share(count: number, of: number): number | null {
  return of === 0 ? null : count / of;
}
