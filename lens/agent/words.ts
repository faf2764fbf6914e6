/** Words of texts, in a form in which `baked` and `baking` are one. */

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
