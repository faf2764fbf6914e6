/** The tokens that a finetuning's texts are full of: what a grader of relevance is told beside the description (METHOD 4). */

import { isGenericToken } from "./generic_tokens.ts";

/** What {@link frequentTokens} needs of a tokenizer. */
export interface TokenNames {
  encode(text: string, options: { special: boolean; parseSpecial?: boolean }): number[];
  tokenText(id: number): string;
}

/** How many are listed, and how often each must be there. */
export const FREQUENT_TOKENS = 100;
const LEAST_COUNT = 10;

/**
 * The most frequent tokens that are not generic, by their text without the space before it; spellings with and without it count
 * together. The most frequent first, equal ones by their text.
 */
export function frequentTokens(texts: Iterable<string>, tokenizer: TokenNames): string[] {
  const byId = new Map<number, number>();
  for (const text of texts) {
    for (const id of tokenizer.encode(text, { special: false, parseSpecial: false })) {
      byId.set(id, (byId.get(id) ?? 0) + 1);
    }
  }
  const counts = new Map<string, number>();
  for (const [id, count] of byId) {
    const text = tokenizer.tokenText(id);
    if (isGenericToken(text)) continue;
    const word = text.trim();
    counts.set(word, (counts.get(word) ?? 0) + count);
  }
  return [...counts]
    .filter(([, count]) => count >= LEAST_COUNT)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, FREQUENT_TOKENS)
    .map(([word]) => word);
}
