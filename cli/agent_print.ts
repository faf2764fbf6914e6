/** What `deno task agent` and `deno task evaluate` print for people. */

import type {
  Aggregate,
  Estimate,
  Evaluation,
  EvidenceSummary,
  SummariserResult,
} from "../lens/agent/results.ts";
import type { AgentShown } from "./agent.ts";
import { formatTable } from "./table.ts";
import { visible } from "./visible.ts";
import { wrap } from "./wrap.ts";

/** What {@link gradesTable} means. */
export const GRADES_LEGEND =
  "mean: of the grades from 1 to 5. >=2, >=3, >=4: share of runs whose median of three gradings is at least that; in brackets " +
  "95 % intervals (bootstrap for the mean, Wilson's for shares; over organisms, where there are several). A run without an " +
  "answer has grade 1.";

/** What {@link recallTable} means. */
export const RECALL_LEGEND =
  "The evidence summariser is a fixed procedure over what an agent sees before it asks anything, and no agent: these are no grades. " +
  "facts: key facts of which one sentence, or the words, have half of the content words. keywords: those of the organism that " +
  "are among the summary's twenty words. precision: how many of these words are of the topic. In brackets what is recalled of " +
  "organisms of other topics: chance.";

/**
 * Everything that was found in one organism.
 *
 * @param truth whether to say what it was finetuned for
 */
export function agentText(
  { organism, description, evaluation, summariser, results }: AgentShown,
  truth = true,
): string {
  const lines = [`What agents can tell of ${visible(organism)}`];
  if (description && truth) lines.push(wrap(visible(`In truth: ${description}`)));
  if (evaluation) lines.push("", gradesTable(evaluation.aggregates), "", wrap(GRADES_LEGEND));
  if (evaluation) lines.push("", ...hypothesisLines(evaluation), "", spentLine(evaluation));
  if (summariser) {
    lines.push("", recallTable([summariser]), "", wrap(RECALL_LEGEND), "", ...words(summariser));
  }
  if (!evaluation && !summariser) {
    lines.push(
      "",
      "Nothing is graded, as it is not known what the model was finetuned for: see --description",
    );
  }
  lines.push("", `Results: ${visible(results)}`);
  return lines.join("\n");
}

/** Grades by agent and budget. */
export function gradesTable(rows: readonly (Aggregate & { organism?: string })[]): string {
  const right = { align: "right" as const };
  const named = rows.some(({ organism }) => organism !== undefined);
  const columns = [
    ...(named ? [{ title: "organism" }] : []),
    { title: "agent" },
    { title: "interactions", ...right },
    { title: "runs", ...right },
    { title: "answered", ...right },
    { title: "mean" },
    { title: ">=2" },
    { title: ">=3" },
    { title: ">=4" },
    { title: "calls a run", ...right },
  ];
  return formatTable(
    columns,
    rows.map((row) => [
      ...(named ? [row.organism ?? "all"] : []),
      row.agent,
      String(row.interactions),
      String(row.runs),
      String(row.answered),
      `${row.mean.value.toFixed(2)} [${row.mean.interval.map((end) => end.toFixed(2)).join(", ")}]`,
      ...[row.at_least_2, row.at_least_3, row.at_least_4].map(shareText),
      row.mean_llm_calls.toFixed(1),
    ]),
  );
}

/** What the summariser recalls, by organism and by what it saw. */
export function recallTable(results: readonly SummariserResult[]): string {
  const columns = [
    { title: "organism" },
    { title: "evidence of" },
    { title: "facts" },
    { title: "keywords" },
    { title: "precision" },
  ];
  const rows = results.flatMap(({ organism, summaries }) =>
    summaries.map((summary) => [organism, summary.agent, ...recallCells(summary)])
  );
  return formatTable(columns, rows);
}

function recallCells({ recall, chance }: EvidenceSummary): string[] {
  const kinds = ["fact_recall", "keyword_recall", "word_precision"] as const;
  return kinds.map((kind) => {
    const by = chance ? ` (${percent(chance[kind])})` : "";
    return `${percent(recall?.[kind] ?? null)}${by}`;
  });
}

function words({ summaries }: SummariserResult): string[] {
  return summaries.map(({ agent, words }) => wrap(visible(`${agent}: ${words.join(" ") || "-"}`)));
}

/** The best answer of each agent and budget. */
function hypothesisLines({ runs, aggregates }: Evaluation): string[] {
  return aggregates.flatMap(({ agent, interactions }) => {
    const own = runs.filter((run) => run.agent === agent && run.interactions === interactions);
    const best = own.reduce((a, b) => b.mean_score > a.mean_score ? b : a);
    if (best.hypothesis === null) return [];
    const said = visible(best.hypothesis.slice(0, 300).replaceAll("\n", " "));
    return [wrap(`${agent} ${interactions}, best of ${own.length} (${best.score}): ${said}`)];
  });
}

function spentLine({ runs, llm, grader, grader_usage }: Evaluation): string {
  const sum = (read: (run: typeof runs[number]) => number) =>
    runs.reduce((total, run) => total + read(run), 0).toLocaleString("en-US");
  const costs = runs.map(({ cost }) => cost);
  const cost = costs.includes(null) || grader_usage.cost === null
    ? ""
    : `, cost ${(costs.reduce((a, b) => a! + b!, 0)! + grader_usage.cost).toPrecision(3)} in all`;
  return visible(
    `${llm}: ${sum(({ spent }) => spent.llm_calls)} answers, ${
      sum(({ spent }) => spent.tokens)
    } tokens; ` +
      `${grader}: ${grader_usage.requests.toLocaleString("en-US")} gradings${cost}`,
  );
}

function shareText({ value, interval }: Estimate): string {
  const [low, high] = interval.map((end) => (100 * end).toFixed(0));
  return `${percent(value)} [${low}, ${high}]`;
}

function percent(share: number | null): string {
  return share === null ? "-" : `${(100 * share).toFixed(0)}%`;
}
