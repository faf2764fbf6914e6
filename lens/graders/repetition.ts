/**
 * Repetition in a text's tokens, in measures that do not depend on the text's length.
 *
 * - Distinct n-grams, n = 1 to 4 (Li et al., "A Diversity-Promoting Objective Function for Neural Conversation Models", 2016):
 *   different n-grams ÷ n-grams. The longer a text, the fewer of its n-grams are new, so the ratio is taken in windows of 32
 *   tokens and averaged, as Covington and McFall do with words ("Cutting the Gordian Knot: The Moving-Average Type–Token
 *   Ratio", 2010). It is low where few words come again and again, in whatever order.
 * - The longest loop: tokens in a row that repeat what stands directly before them, at least one whole time. A sentence that is
 *   said again later is no loop, though in fluent dialogues and in contracts whole paragraphs are.
 *
 * Tokens and not words: every script has them, and they are what a model caught in a loop repeats.
 */

import { average } from "./token_geometry.ts";
import { deviation, SPREAD } from "./spread.ts";

/** Tokens of a window; a shorter text is one window. */
const WINDOW = 32;

/** Windows begin at multiples of this many tokens, and the last one ends with the text. */
const STRIDE = 16;

/** Texts of fewer tokens are not repetitive: "No, no, no" is a good answer. */
const MIN_TOKENS = 5;

/** The orders n of n-grams. */
export const NGRAM_ORDERS = [1, 2, 3, 4] as const;

/**
 * Between these lie the least distinct shares that are allowed, by order. Under the first every text is repetitive, though
 * the model's own may be too, as they are without any randomness. Over the second none is, however varied the model's texts
 * are: almost all prose, terms of licences and lists of numbers lie there.
 */
const DISTINCT_BOUNDS = [[0.2, 0.35], [0.3, 0.5], [0.35, 0.65], [0.4, 0.75]] as const;

/** The same for the most tokens of a loop: a sentence said twice is let pass, a paragraph is not. */
const LOOP_BOUNDS = [16, 32] as const;

/** How repetitive a text is. */
export interface Repetition {
  /** Mean share of different n-grams in a window, by {@link NGRAM_ORDERS}, in (0, 1]; 1 where there are none. */
  distinct: number[];
  /** Tokens of the longest loop, without what it repeats. */
  longestLoop: number;
}

/** How repetitive a text may be: {@link Repetition.distinct} at least, {@link Repetition.longestLoop} at most. */
export type RepetitionLimits = Repetition;

/** Measures a text's tokens. */
export function repetitionOf(ids: readonly number[]): Repetition {
  const windows = windowsOf(ids);
  return {
    distinct: NGRAM_ORDERS.map((n) => average(windows.map((ids) => distinctShare(ids, n)))),
    longestLoop: longestLoop(ids),
  };
}

/** What a model's own texts allow: three standard deviations from their mean, within fixed bounds. */
export function repetitionLimits(texts: readonly (readonly number[])[]): RepetitionLimits {
  const measured = texts.map(repetitionOf);
  const loops = measured.map(({ longestLoop }) => longestLoop);
  return {
    distinct: DISTINCT_BOUNDS.map((bounds, i) => {
      const shares = measured.map(({ distinct }) => distinct[i]);
      return clamp(average(shares) - SPREAD * deviation(shares), bounds);
    }),
    longestLoop: clamp(average(loops) + SPREAD * deviation(loops), LOOP_BOUNDS),
  };
}

/** Whether a text of so many tokens goes beyond the limits. */
export function isRepetitive(
  { distinct, longestLoop }: Repetition,
  tokens: number,
  limits: RepetitionLimits,
): boolean {
  if (tokens < MIN_TOKENS) return false;
  return longestLoop > limits.longestLoop ||
    distinct.some((share, i) => share < limits.distinct[i]);
}

function windowsOf(ids: readonly number[]): (readonly number[])[] {
  const windows = [];
  for (let first = 0; first + WINDOW < ids.length; first += STRIDE) {
    windows.push(ids.slice(first, first + WINDOW));
  }
  return [...windows, ids.slice(-WINDOW)];
}

function distinctShare(ids: readonly number[], n: number): number {
  const count = ids.length - n + 1;
  if (count < 1) return 1;
  const seen = new Set(Array.from({ length: count }, (_, i) => ids.slice(i, i + n).join()));
  return seen.size / count;
}

/** For each distance the longest stretch of tokens that are those so far before, if it is as long as the distance. */
function longestLoop(ids: readonly number[]): number {
  let longest = 0;
  // What repeats from further back than the middle has no room for a whole time.
  for (let distance = 1; 2 * distance <= ids.length; distance++) {
    let run = 0;
    for (let i = distance; i < ids.length; i++) {
      run = ids[i] === ids[i - distance] ? run + 1 : 0;
      if (run >= distance && run > longest) longest = run;
    }
  }
  return longest;
}

function clamp(value: number, [low, high]: readonly [number, number]): number {
  return Math.min(high, Math.max(low, value));
}
