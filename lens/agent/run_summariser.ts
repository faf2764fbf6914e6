/** The evidence summariser as a step of a run. */

import { sha256Of } from "../provenance.ts";
import type { RunFolder } from "../results/run_folder.ts";
import { settledStep } from "../results/settled_step.ts";
import { type JsonValue, stableJson } from "../results/stable_json.ts";
import type { Evidence } from "./evidence.ts";
import { recallOf, type RecallTruth, type Summary } from "./recall.ts";
import {
  type AgentName,
  checkedResult,
  type EvidenceSummary,
  type SummariserResult,
  summariserResultSchema,
} from "./results.ts";
import { summarise } from "./summariser.ts";

/** What the step needs. */
export interface SummariserRun {
  folder: RunFolder;
  organism: string;
  family: string;
  agents: readonly AgentName[];
  evidence: Evidence;
  /** Generic texts, against which words are telling. */
  background: readonly string[];
  /** Absent where it is not known, or there is nothing to recall. */
  truth?: RecallTruth;
  /** The ground truth of organisms of other topics: what is recalled of them is chance. */
  others: readonly RecallTruth[];
  provenance: () => Promise<Record<string, JsonValue>>;
}

/** Summarises and scores, where that is not done yet. */
export async function runSummariser(run: SummariserRun): Promise<SummariserResult> {
  const { folder, organism, family, agents, evidence, background, truth, others } = run;
  const step = "summariser";
  const settings = {
    ...{ organism, family, agents: [...agents] },
    evidence: await sha256Of(stableJson(evidence as unknown as JsonValue, step)),
    background: await sha256Of(JSON.stringify(background)),
    truth: plain(truth),
    others: others.map(plain),
  };
  const { provenance } = run;
  const result = await settledStep(
    folder,
    { step, settings, provenance },
    () =>
      Promise.resolve<SummariserResult>({
        method: "evidence summariser",
        organism,
        family,
        summaries: agents.map((agent) => ({
          agent,
          ...scored(summarise(agent, evidence, background), truth, others),
        })),
      }),
  );
  return checkedResult(summariserResultSchema, result, `${step}.json`);
}

/** A summary with its scores, from which they can be had again. */
export function scored(
  { words, sentences }: Summary,
  truth: RecallTruth | undefined,
  others: readonly RecallTruth[],
): Omit<EvidenceSummary, "agent"> {
  const summary = { words: [...words], sentences: [...sentences] };
  const foreign = others.map((other) => recallOf(summary, other));
  const mean = (read: (one: typeof foreign[number]) => number | null) =>
    foreign.reduce((sum, one) => sum + (read(one) ?? 0), 0) / foreign.length;
  return {
    ...summary,
    recall: truth ? recallOf(summary, truth) : null,
    chance: foreign.length === 0 ? null : {
      organisms: foreign.length,
      fact_recall: mean((one) => one.fact_recall),
      keyword_recall: mean((one) => one.keyword_recall),
      word_precision: mean((one) => one.word_precision),
    },
  };
}

function plain(truth: RecallTruth | undefined): JsonValue {
  return truth ? { keyFacts: [...truth.keyFacts], keywords: [...truth.keywords] } : null;
}
