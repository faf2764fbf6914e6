/** The rows of the mixing experiment: of each ratio's run, what is compared. */

import type { PipelineSummary, SummaryEffect, SummaryPosition } from "./summary.ts";

/** What the intervention does on one set of texts. */
type Effect = Pick<SummaryEffect, "change" | "change_interval" | "random_change">;

/** One ratio. What was not measured is null. */
export interface MixingRow {
  /** Generic documents for each finetuning document. */
  ratio: number;
  organism: string;
  delta_norm: number;
  relative_norm: number;
  /** Mean share of relevant tokens in the readouts of the difference, and in those of its controls and nulls. */
  relevance: number | null;
  relevance_nulls: Record<string, number> | null;
  /** Steered less unsteered. */
  similarity: number | null;
  /** `generic`: the same with generic texts. */
  similarity_detail: SummaryPosition["similarity"];
  causal: Record<"finetuning" | "generic", Effect> | null;
  /** The folder of this ratio. */
  results: string;
}

/** The row of a run at its first position. */
export function mixingRow(
  { relevance, positions: [at], results }: PipelineSummary,
  { organism, ratio }: { organism: string; ratio: number },
): MixingRow {
  const { delta_norm, relative_norm, causal } = at;
  return {
    ratio,
    organism,
    delta_norm,
    relative_norm,
    relevance: relevance?.difference ?? null,
    relevance_nulls: relevance && Object.fromEntries(
      Object.entries(relevance).filter(([name]) => name !== "difference"),
    ),
    similarity: at.similarity?.difference ?? null,
    similarity_detail: at.similarity,
    causal,
    results,
  };
}
