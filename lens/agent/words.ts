/** Words of texts, in a form in which `baked` and `baking` are one, and which of them are telling. */

import { isFunctionWord } from "../generic_tokens.ts";

/** Endings that are taken off, the longer ones first, where three letters remain. */
const ENDINGS = ["ings", "ing", "ers", "ies", "ed", "es", "er", "ly", "s", "e", "y"];

/** A word without its ending, lower case: a rough stem, in which words of one kind mostly meet. */
export function stemOf(word: string): string {
  const lower = word.toLowerCase();
  if (/\p{N}/u.test(lower)) return lower;
  const ending = ENDINGS.find((one) => lower.endsWith(one) && lower.length - one.length >= 3);
  return ending === undefined ? lower : lower.slice(0, -ending.length);
}

/** The words of a text that say something, lower case: no function words, no single letters. */
export function contentWords(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{M}\p{N}]{2,}/gu) ?? [];
  return words.filter((word) => !isFunctionWord(word));
}

/** The stems of a text's content words. */
export function stemsOf(text: string): Set<string> {
  return new Set(contentWords(text).map(stemOf));
}

/** A word counts from so many texts on. */
const LEAST_TEXTS = 2;

/**
 * The words that a few texts have more often than others do, by Dunning's log-likelihood ratio G² (Computational Linguistics 19:61,
 * 1993) of the numbers of texts that hold them, the most telling first. It bears counts of two and three, and words that the other
 * texts never have, where the log-odds of `lens/keywords.ts`, made for large sets, take them for noise.
 */
export function tellingWords(texts: readonly string[], others: readonly string[]): string[] {
  const [own, other] = [texts, others].map(textCounts);
  const found: { word: string; g2: number }[] = [];
  for (const [word, count] of own) {
    const there = other.get(word) ?? 0;
    const more = count / texts.length > there / Math.max(1, others.length);
    const g2 = logLikelihood([count, texts.length], [there, others.length]);
    if (count >= LEAST_TEXTS && more) found.push({ word, g2 });
  }
  found.sort((a, b) => b.g2 - a.g2 || (a.word < b.word ? -1 : 1));
  return found.map(({ word }) => word);
}

/** G² of two counts out of two numbers of texts. */
function logLikelihood([a, n]: [number, number], [b, m]: [number, number]): number {
  const rate = (a + b) / (n + m);
  const term = (count: number, expected: number) =>
    count === 0 ? 0 : count * Math.log(count / expected);
  return 2 * (term(a, n * rate) + term(b, m * rate) +
    term(n - a, n * (1 - rate)) + term(m - b, m * (1 - rate)));
}

/** In how many texts each content word is. */
function textCounts(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of new Set(contentWords(text))) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}
