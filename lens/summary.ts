/** What the whole method found, in a few numbers. */

import type { CausalResult, CausalSet } from "./causal/causal.ts";
import type { LayerReadout } from "./readout.ts";
import type { Steering } from "./run_steer.ts";
import type { Similarity } from "./similarity/similarity.ts";
import type { GradedRelevance } from "./token_relevance.ts";
import { RELEVANCE_NAMES } from "./topic.ts";

/** The similarity of one position's texts. */
export type PositionSimilarity = Similarity & { position: number };

/** A step that is not done, and why. */
export interface LeftOut {
  step: string;
  why: string;
}

/** Low and high end of a 95 % interval. */
export type Range = readonly [low: number, high: number];

/** What replacing the component along the difference does to the losses on one set of texts, in nats per token. */
export interface SummaryEffect {
  tokens: number;
  loss: number;
  /** Above 0 where the intervention harms. */
  change: number;
  change_interval: Range;
  /** The middle 95 % of what random directions do; null where there were none. */
  random_change: Range | null;
  /** The same of differences of random pairs of activations. */
  random_difference_change: Range | null;
}

/** What was found at one position. */
export interface SummaryPosition {
  position: number;
  delta_norm: number;
  /** ‖δ‖ over the norm of the finetuned model's activations. */
  relative_norm: number;
  /** The scale at which Patchscope is read; null where none is. */
  scale: number | null;
  /** The first tokens of both readouts, likeliest first. */
  logit_lens: string[];
  patchscope: string[];
  /** The strength that was steered with. */
  alpha: number | null;
  /** Mean cosines with the finetuning's texts; `generic`: the difference with generic texts, which is the null. */
  similarity: {
    steered: number;
    unsteered: number;
    difference: number;
    interval: Range;
    generic: number;
  } | null;
  causal: Record<CausalSet, SummaryEffect> | null;
}

/** `summary.json`. */
export interface PipelineSummary {
  base: string;
  finetuned: string;
  description: string | null;
  layer: number;
  documents: number;
  seed: number;
  /** Mean shares of relevant tokens over the positions that are read: the difference's, its controls' and its nulls'. */
  relevance: Record<string, number> | null;
  /** Those that were asked for. */
  positions: SummaryPosition[];
  left_out: LeftOut[];
  /** The folder. */
  results: string;
}

/** What the steps gave; those that were left out are undefined. */
export interface PipelineParts {
  plan: { base: string; finetuned: string; description?: string; leftOut: LeftOut[] };
  folder: string;
  seed: number;
  /** Names of the positions that were asked for. */
  positions: readonly number[];
  /** The first layer is the one that counts. */
  diff: { results: readonly LayerReadout[]; documents: number };
  relevance?: GradedRelevance;
  steer?: readonly Steering[];
  similarity?: readonly PositionSimilarity[];
  causal?: CausalResult;
}

/** Puts together what the steps found. */
export function summarize(parts: PipelineParts): PipelineSummary {
  const { plan, folder, seed, diff, relevance } = parts;
  const [{ layer }] = diff.results;
  return {
    base: plan.base,
    finetuned: plan.finetuned,
    description: plan.description ?? null,
    layer,
    documents: diff.documents,
    seed,
    relevance: relevance
      ? Object.fromEntries(
        RELEVANCE_NAMES.flatMap((name) => {
          const share = relevance[name];
          return share === undefined ? [] : [[name, share]];
        }),
      )
      : null,
    positions: parts.positions.map((position) => positionSummary(parts, position)),
    left_out: plan.leftOut,
    results: folder,
  };
}

/** Tokens of each readout. */
const TOKENS = 8;

function positionSummary(
  { diff, steer, similarity, causal }: PipelineParts,
  at: number,
): SummaryPosition {
  const here = ({ position }: { position: number }) => position === at;
  const read = diff.results[0].positions.find(here)!;
  const scope = read.patchscope.difference;
  const words = (tokens: readonly { token: string }[] | undefined) =>
    (tokens ?? []).slice(0, TOKENS).map(({ token }) => token);
  const like = similarity?.find(here);
  const effect = causal?.positions.find(here);
  return {
    position: at,
    delta_norm: read.delta_norm,
    relative_norm: read.relative_norm,
    scale: scope?.scale ?? null,
    logit_lens: words(read.logit_lens.difference?.top),
    patchscope: words(scope?.tokens),
    alpha: steer?.find(here)?.alpha ?? null,
    similarity: like
      ? {
        steered: like.steered,
        unsteered: like.unsteered,
        difference: like.difference,
        interval: [...like.confidence.difference] as Range,
        generic: like.generic.difference,
      }
      : null,
    causal: effect
      ? { finetuning: effectOf(effect.sets.finetuning), generic: effectOf(effect.sets.generic) }
      : null,
  };
}

type SetEffect = CausalResult["positions"][number]["sets"][CausalSet];

function effectOf(effect: SetEffect): SummaryEffect {
  const range = (spread: { low: number; high: number } | null): Range | null =>
    spread && [spread.low, spread.high];
  return {
    tokens: effect.tokens,
    loss: effect.loss,
    change: effect.change,
    change_interval: range(effect.change_interval)!,
    random_change: range(effect.random_change),
    random_difference_change: range(effect.random_difference_change),
  };
}
