/**
 * How strongly a model can be steered and stay coherent (METHOD 3): a binary search over strengths, several of its levels
 * at once, as one batch of generation costs little more than a part of it.
 */

/** The most strength that is tried. */
export const STRONGEST = 100;

/** How a search goes. */
export interface SearchOptions {
  /** Strengths lie in [0, highest]. */
  highest: number;
  /** How many decisions are made; each halves the range. */
  decisions: number;
  /** How many decisions are looked ahead in one batch: 2^levels − 1 strengths. */
  levels: number;
}

/** The strengths of one batch, and how each did. */
export interface SearchRound {
  strengths: number[];
  /** The share of coherent samples at each. */
  coherent: number[];
}

/** What a search found. */
export interface SearchResult {
  /** The strongest that passed at the resolution of the search: the lower end of the last range. */
  strength: number;
  rounds: SearchRound[];
}

/**
 * Every midpoint that the next `levels` decisions may ask for, from the lowest: the range in 2^levels equal parts.
 *
 * @example
 * ```ts
 * import { midpoints } from "./strength.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(midpoints(0, 100, 2), [25, 50, 75]);
 * ```
 */
export function midpoints(low: number, high: number, levels: number): number[] {
  const parts = 2 ** levels;
  return Array.from({ length: parts - 1 }, (_, i) => low + (high - low) * (i + 1) / parts);
}

/**
 * Finds the largest strength that passes by binary search: the middle of the range passes or it does not, and one half of
 * it remains. All middles of the next few decisions are tried at once; which are used depends on the ones before them.
 *
 * @param share the share of coherent samples at each strength
 * @param passes whether such a share is enough
 */
export async function searchStrength(
  { highest, decisions, levels }: SearchOptions,
  share: (strengths: readonly number[]) => Promise<number[]>,
  passes: (share: number) => boolean,
): Promise<SearchResult> {
  let [low, high] = [0, highest];
  const rounds: SearchRound[] = [];
  // An empty range has nothing to halve.
  for (let left = highest > 0 ? decisions : 0; left > 0;) {
    const ahead = Math.min(levels, left);
    const strengths = midpoints(low, high, ahead);
    const coherent = await share(strengths);
    rounds.push({ strengths, coherent });
    // The middle of what remains is the middle of the remaining list, too.
    let [first, last] = [0, strengths.length];
    for (let level = 0; level < ahead; level++) {
      const middle = (first + last) >> 1;
      if (passes(coherent[middle])) [low, first] = [strengths[middle], middle + 1];
      else [high, last] = [strengths[middle], middle];
    }
    left -= ahead;
  }
  return { strength: low, rounds };
}
