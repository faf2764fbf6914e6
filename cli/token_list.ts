/** Tokens and shares as the tables of a readout show them. */

import type { TokenProb } from "../lens/readout.ts";

/** The first tokens of a list: a space before one is left out, the lack of one is a hyphen, and the marked have a star. */
export function tokenList(
  tokens: readonly Pick<TokenProb, "token">[],
  count: number,
  marked = new Set<string>(),
): string {
  return tokens.slice(0, count).map(({ token }) => {
    const word = token.startsWith(" ") ? token.slice(1) : `-${token}`;
    return marked.has(token) ? `${word}*` : word;
  }).join(" ");
}

/** A share as `12.3%`, or a dash where there is none. */
export function percent(share: number | null | undefined): string {
  return share === undefined || share === null ? "-" : `${(100 * share).toFixed(1)}%`;
}
