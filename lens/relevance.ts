/** How many of a readout's top tokens are about the finetuning's topic: the share whose word is a keyword. */

import { tokenMatchesKeyword } from "./keywords.ts";

/** A token of a readout and its probability. */
export interface ReadToken {
  text: string;
  prob: number;
}

/** The relevance of one readout. */
export interface Relevance {
  /** Relevant tokens ÷ tokens looked at, in [0, 1]. */
  share: number;
  /** Probability of the relevant tokens ÷ probability of the tokens looked at, in [0, 1]. */
  weightedShare: number;
  /** How many tokens were looked at: `k`, or all if there are fewer. */
  tokens: number;
  /** The relevant ones, in the readout's order. */
  relevant: string[];
}

/** How many tokens the paper looks at. */
export const TOP_K = 20;

/**
 * The relevance of a readout's first `k` tokens; both shares are 0 where there is no token (or no probability).
 *
 * @param tokens in order of falling probability
 */
export function relevance(
  tokens: readonly ReadToken[],
  keywords: ReadonlySet<string>,
  k = TOP_K,
): Relevance {
  const top = tokens.slice(0, k);
  const relevant = top.filter((token) => tokenMatchesKeyword(token.text, keywords));
  return {
    share: ratio(relevant.length, top.length),
    weightedShare: ratio(mass(relevant), mass(top)),
    tokens: top.length,
    relevant: relevant.map((token) => token.text),
  };
}

function mass(tokens: readonly ReadToken[]): number {
  return tokens.reduce((sum, token) => sum + token.prob, 0);
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
