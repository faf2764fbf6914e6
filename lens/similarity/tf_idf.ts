/**
 * Texts as weighted word counts: the embedder that needs neither a network nor a model. It sees shared words and no meaning:
 * two texts that say the same in other words are as far apart as any.
 *
 * A word w that a text holds tf times, and that df of the N fitted texts hold, has the weight
 *
 *     (1 + ln tf) · (1 + ln((1 + N) / (1 + df)))
 *
 * (sublinear term frequency, smoothed inverse document frequency: Manning, Raghavan, Schütze, "Introduction to Information
 * Retrieval", 2008, 6.2 and 6.4.1). A word that no fitted text holds has df = 0 and so the largest weight: fitted on generic
 * text, what is particular to the finetuning counts the most. Cosines divide by the L2 norm.
 */

import { SIMILARITY_STREAMS, someOf } from "./draws.ts";
import type { TextEmbedder, TextVector } from "./embedder.ts";

/**
 * Words are runs of letters, marks and digits, lower case, after Unicode's compatibility composition (NFKC: a letter with its
 * accent is the same however it is spelt). Scripts that put no spaces between words give single characters.
 */
const WORD =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]\p{M}*|(?:(?![\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}])[\p{L}\p{M}\p{N}])+/gu;

/** How often a text holds each of its words. */
export function wordCounts(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [word] of text.normalize("NFKC").toLowerCase().matchAll(WORD)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

/** More texts tell little more of how common words are. */
const MOST_FITTED = 10_000;

/** How common words are: `holding` of `fitted` texts hold each. */
export interface WordRarity {
  fitted: number;
  holding: ReadonlyMap<string, number>;
}

/**
 * Learns from texts how common words are; with none, all words count alike.
 *
 * @param seed chooses which texts to learn from, where there are over 10,000
 */
export function fitTfIdf(texts: readonly string[], seed: number): TextEmbedder {
  const holding = new Map<string, number>();
  const fitted = someOf(texts, MOST_FITTED, seed, SIMILARITY_STREAMS.fit);
  for (const text of fitted) {
    for (const word of wordCounts(text).keys()) holding.set(word, (holding.get(word) ?? 0) + 1);
  }
  return tfIdfOf({ fitted: fitted.length, holding });
}

/** The embedder that knows how common words are. Its `state` has those of the words that it has met. */
export function tfIdfOf({ fitted, holding }: WordRarity): TextEmbedder {
  const rarity = (word: string) => 1 + Math.log((1 + fitted) / (1 + (holding.get(word) ?? 0)));
  // Words get their dimensions as they are met, fitted or not.
  const dimensionOf = new Map<string, number>();
  const vectorOf = (text: string): TextVector => {
    const counts = wordCounts(text);
    const dimensions = new Uint32Array(counts.size);
    const values = new Float64Array(counts.size);
    let i = 0;
    for (const [word, count] of counts) {
      let dimension = dimensionOf.get(word);
      if (dimension === undefined) dimensionOf.set(word, dimension = dimensionOf.size);
      dimensions[i] = dimension;
      values[i++] = (1 + Math.log(count)) * rarity(word);
    }
    return { values, dimensions };
  };
  return {
    name: "tf-idf",
    state: () => ({
      fitted,
      holding: [...dimensionOf.keys()].map((word) => [word, holding.get(word) ?? 0]),
    }),
    embed: (texts, options = {}) =>
      Promise.try(() =>
        texts.map((text, i) => {
          options.signal?.throwIfAborted();
          const vector = vectorOf(text);
          options.progress?.(i + 1, texts.length);
          return vector;
        })
      ),
  };
}
