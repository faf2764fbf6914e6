/** Relevance of a layer's readouts to the finetuning's topic, each vector beside its nulls. */

import { relevance, TOP_K } from "./relevance.ts";
import type { LayerReadout, TokenProb } from "./readout.ts";

/** The names of {@link TopicRelevance}: the difference, its controls and its nulls. */
export const RELEVANCE_NAMES = ["difference", "base", "finetuned", "random", "sibling"] as const;

/** Mean shares over the positions (and the random directions), in [0, 1]. */
export interface MeanRelevance {
  /** Share of the top 20 tokens that belong to the keyword set. */
  share: number;
  /** The same, weighted by probability. */
  weighted_share: number;
  /** The relevant tokens, each once, in the order in which they were met. */
  relevant: string[];
}

/** Relevance by vector: the mean of both readouts' shares, and each readout's own. */
export interface TopicRelevance {
  difference: number;
  base: number;
  finetuned: number;
  random: number;
  /** Absent when no sibling was read. */
  sibling?: number;
  logit_lens: Record<string, MeanRelevance>;
  patchscope: Record<string, MeanRelevance>;
  keywords: string[];
}

/** Relevance of the readouts of one layer to a set of keywords. */
export function topicRelevance(readout: LayerReadout, keywords: readonly string[]): TopicRelevance {
  const words = new Set(keywords);
  const lensLists: Lists = new Map();
  const scopeLists: Lists = new Map();
  for (const { logit_lens, patchscope } of readout.positions) {
    for (const [name, { top }] of Object.entries(logit_lens)) collect(lensLists, name, top);
    for (const [name, { tokens }] of Object.entries(patchscope)) collect(scopeLists, name, tokens);
  }
  const logitLens = meansOf(lensLists, words);
  const patchscope = meansOf(scopeLists, words);
  const shares = Object.fromEntries(
    RELEVANCE_NAMES.filter((name) => logitLens[name] && patchscope[name]).map((name) => [
      name,
      (logitLens[name].share + patchscope[name].share) / 2,
    ]),
  );
  return {
    difference: 0,
    base: 0,
    finetuned: 0,
    random: 0,
    ...shares,
    logit_lens: logitLens,
    patchscope,
    keywords: [...keywords],
  };
}

type Lists = Map<string, TokenProb[][]>;

/** `random_1`, `random_2` … are draws of one null. */
function collect(lists: Lists, name: string, tokens: TokenProb[]): void {
  const key = name.replace(/_\d+$/, "");
  const known = lists.get(key);
  if (known) known.push(tokens);
  else lists.set(key, [tokens]);
}

function meansOf(lists: Lists, keywords: ReadonlySet<string>): Record<string, MeanRelevance> {
  const means: Record<string, MeanRelevance> = {};
  for (const [name, all] of lists) {
    const each = all.map((tokens) =>
      relevance(tokens.map(({ token, prob }) => ({ text: token, prob })), keywords, TOP_K)
    );
    means[name] = {
      share: each.reduce((sum, one) => sum + one.share, 0) / each.length,
      weighted_share: each.reduce((sum, one) => sum + one.weightedShare, 0) / each.length,
      relevant: [...new Set(each.flatMap((one) => one.relevant))],
    };
  }
  return means;
}
