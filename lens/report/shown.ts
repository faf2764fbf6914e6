/** Choices that several sections share: which layer and position are shown in full, and what counts as of the topic. */

import { tokenMatchesKeyword } from "../keywords.ts";
import type { PositionReadout, TokenProb } from "../readout.ts";
import { TOP_K } from "../relevance.ts";
import type { GradedList } from "../token_relevance.ts";
import type { LayerResults, RunResults } from "./run_results.ts";
import { COLOUR } from "./plot.ts";

/** A vector's name without the number of its draw: `random_2` is a `random`. */
export type VectorName = keyof typeof COLOUR;

/** The vectors, in the order in which they are shown. */
export const VECTORS: readonly VectorName[] = [
  "difference",
  "finetuned",
  "base",
  "sibling",
  "random",
];

/** Both lenses, as the results name them, and as people do. */
export const LENSES = [["logit_lens", "logit lens"], ["patchscope", "Patchscope"]] as const;

/** `random_2` → `random`. */
export function vectorOf(name: string): VectorName {
  return name.replace(/_\d+$/, "") as VectorName;
}

/** The layer that is shown in full: the run's own, else the middle one of those that were read. */
export function mainLayer({ diff, summary }: RunResults): LayerResults | undefined {
  const layers = diff?.layers ?? [];
  return layers.find(({ layer }) => layer === summary?.layer) ?? layers[(layers.length - 1) >> 1];
}

/** The position that is shown unfolded: the run's own, else the one with the longest difference. */
export function mainPosition(run: RunResults): number | undefined {
  const read = mainLayer(run)?.readout?.positions ?? [];
  const own = run.summary?.positions[0]?.position ?? run.steering[0]?.result.position;
  if (read.some(({ position }) => position === own)) return own;
  const longest = read.toSorted((a, b) => b.relative_norm - a.relative_norm)[0];
  return longest?.position;
}

/** Words that mark the finetuning's topic; empty where they are not known. */
export function topicWords(run: RunResults): ReadonlySet<string> {
  return new Set(mainLayer(run)?.topic?.keywords ?? []);
}

/** One graded list of a readout. */
export interface ListShare {
  lens: GradedList["lens"];
  name: VectorName;
  position: number;
  /** Share of the first twenty tokens that belong to the topic, in [0, 1]. */
  share: number;
  /** The same, weighted by probability. */
  weighted: number;
}

/** The shares of every list: by the grader's verdicts where they were kept, else by the topic's words. */
export function listShares({ readout, graded, topic }: LayerResults): ListShare[] {
  if (!readout) return [];
  const lists = graded?.lists;
  const words = new Set(topic?.keywords ?? []);
  if (!lists && !topic) return [];
  return readout.positions.flatMap((at) =>
    LENSES.flatMap(([lens]) =>
      Object.keys(at[lens]).map((name) => {
        const tokens = tokensOf(at, lens, name).slice(0, TOP_K);
        const verdict = lists?.find((list) =>
          list.lens === lens && list.position === at.position && list.name === name
        )?.relevant ?? tokens.map(({ token }) =>
          tokenMatchesKeyword(token, words)
        );
        const mass = (keep: (i: number) => boolean) =>
          tokens.reduce((sum, { prob }, i) => sum + (keep(i) ? prob : 0), 0);
        const all = mass(() => true);
        return {
          lens,
          name: vectorOf(name),
          position: at.position,
          share: tokens.length > 0 ? verdict.filter(Boolean).length / tokens.length : 0,
          weighted: all > 0 ? mass((i) => verdict[i]) / all : 0,
        };
      })
    )
  );
}

/** The list of one vector through one lens. */
export function tokensOf(
  at: PositionReadout,
  lens: "logit_lens" | "patchscope",
  name: string,
): TokenProb[] {
  return lens === "logit_lens" ? at.logit_lens[name].top : at.patchscope[name].tokens;
}
