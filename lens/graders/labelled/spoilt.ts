/** Ways to spoil a fluent text, so that nobody would call the result coherent. Each is a function of the text and a draw. */

import { randomBelow } from "../../random.ts";
import { shuffledIndices } from "../../shuffle.ts";

/** Streams of the draws; see {@link randomBelow}. That of a text's order is its number plus the second. */
const DRAW_STREAM = 48;
const ORDER_STREAM = 0xc000_0000;

/** What a spoilt text is made of. */
export interface Material {
  /** The words of a fluent text, at least twenty. */
  words: readonly string[];
  /** Those of another. */
  others: readonly string[];
  /** How many words the result may have. */
  length: number;
  /** The number of the text; with the seed it decides every draw. */
  index: number;
  seed: number;
}

/** The words in another order. */
export function shuffled({ words, index, seed }: Material): string[] {
  return [...shuffledIndices(words.length, seed, ORDER_STREAM + index)].map((i) => words[i]);
}

/** One word again and again. */
export function oneWord({ words, length, ...at }: Material): string[] {
  return new Array(length).fill(words[draw(at, 0, words.length)]);
}

/** Every word three times. */
export function stutter({ words }: Material): string[] {
  return words.flatMap((word) => [word, word, word]);
}

/** Some three to eight words again and again. */
export function onePhrase({ words, length, ...at }: Material): string[] {
  const size = 3 + draw(at, 0, 6);
  const first = draw(at, 1, words.length - size);
  return looped(words.slice(first, first + size), length);
}

/** The text's beginning of eight to twelve words, begun again whenever it is through. */
export function cutAndLooped({ words, length, ...at }: Material): string[] {
  return looped(words.slice(0, 8 + draw(at, 0, 5)), length);
}

/** Twenty words as they were, then the last two to six of them without end. */
export function endsInLoop({ words, length, ...at }: Material): string[] {
  const phrase = words.slice(18 - draw(at, 0, 5), 20);
  return [...words.slice(0, 20), ...looped(phrase, length - 20)];
}

/** Every third word is one of another text. */
export function wordsSwapped({ words, others, ...at }: Material): string[] {
  return words.map((word, i) => i % 3 === 2 ? others[draw(at, i, others.length)] : word);
}

/** The first half as it was, the second in another order. */
export function endsInNoise(material: Material): string[] {
  const half = material.words.length >> 1;
  const rest = shuffled({ ...material, words: material.words.slice(half) });
  return [...material.words.slice(0, half), ...rest];
}

/** `count` ids of the listed ones, each drawn by itself. */
export function randomTokens(
  ids: readonly number[],
  count: number,
  at: Pick<Material, "index" | "seed">,
): number[] {
  return Array.from({ length: count }, (_, i) => ids[draw(at, i, ids.length)]);
}

function looped(words: readonly string[], length: number): string[] {
  return Array.from({ length }, (_, i) => words[i % words.length]);
}

/** Draw number `which` of a text, in [0, bound). */
function draw({ index, seed }: Pick<Material, "index" | "seed">, which: number, bound: number) {
  return randomBelow(seed, DRAW_STREAM, index * 1000 + which, bound);
}
