/** Grades from the grader's raw answers, their aggregates, and what the evidence summariser recalls. */

import { aggregateRuns } from "../agent/aggregate.ts";
import { gradesPlot } from "../agent/grades_plot.ts";
import { type GroundTruth, HypothesisGrader } from "../agent/hypothesis_grader.ts";
import type { RecallTruth } from "../agent/recall.ts";
import {
  agentRunSchema,
  type Aggregate,
  checkedResult,
  type Evaluation,
  evaluationSchema,
  runFileName,
  summariserResultSchema,
} from "../agent/results.ts";
import { scored } from "../agent/run_summariser.ts";
import { nobody } from "../graders/llm/llm_grader.ts";
import { answersOf, parseGrades } from "../graders/llm/log.ts";
import { PartFiles, within } from "../report/run_files.ts";
import type { Derived } from "./problem.ts";

/** Everything of an evaluation that can be derived again; the folder may be one without any. */
export async function deriveAgents(part: PartFiles): Promise<Derived[]> {
  return [...await evaluationNumbers(part), ...await summariserNumbers(part)];
}

/** The grades over several organisms, from the evaluation of each. */
export async function deriveGrades(outer: PartFiles): Promise<Derived[]> {
  const name = "grades.json";
  const stored = await outer.jsonIfListed<{ organisms: { organism: string }[]; all: Aggregate[] }>(
    name,
  );
  if (stored === undefined) return [];
  const evaluations: Evaluation[] = [];
  for (const { organism } of stored.organisms) {
    const folder = `${organism}/agent`;
    const part = await PartFiles.open(`${outer.path}/${folder}`, folder);
    const value = await part?.jsonIfListed<unknown>("evaluation.json");
    evaluations.push(checkedResult(evaluationSchema, value, `${folder}/evaluation.json`));
  }
  return [
    {
      file: name,
      stored,
      derived: {
        organisms: evaluations.map(({ aggregates }, i) => ({
          organism: stored.organisms[i].organism,
          aggregates,
        })),
        all: aggregateRuns(evaluations.map(({ runs }) => runs)),
      },
    },
    {
      file: "grades.svg",
      stored: new TextDecoder().decode(await outer.bytes("grades.svg")),
      derived: gradesPlot(stored.all),
    },
  ];
}

async function evaluationNumbers(part: PartFiles): Promise<Derived[]> {
  const name = "evaluation.json";
  const kept = await part.jsonIfListed<unknown>(name);
  if (kept === undefined) return [];
  const stored = checkedResult(evaluationSchema, kept, name);
  const { truth, seed } = part.manifest.steps.evaluation.settings as unknown as {
    truth: GroundTruth;
    seed: number;
  };
  const answers = part.files.includes("grades.jsonl")
    ? answersOf(
      parseGrades(new TextDecoder().decode(await part.bytes("grades.jsonl")), "grades.jsonl"),
    )
    : undefined;
  const grader = new HypothesisGrader({ chat: nobody(stored.grader), answers, truth, seed });
  const runs = [];
  for (const { agent, interactions, run } of stored.runs) {
    const file = runFileName({ agent, interactions, run });
    runs.push(await grader.grade(checkedResult(agentRunSchema, await part.json(file), file)));
  }
  const aggregates = aggregateRuns([runs]);
  return [
    {
      file: within(part, name),
      stored: { runs: stored.runs, aggregates: stored.aggregates },
      derived: { runs, aggregates },
    },
    {
      file: within(part, "evaluation.svg"),
      stored: new TextDecoder().decode(await part.bytes("evaluation.svg")),
      derived: gradesPlot(stored.aggregates),
    },
    ...await Promise.all(stored.runs.map((run) => spending(part, run))),
  ];
}

/** What a run spent, from its transcript. */
async function spending(part: PartFiles, run: Parameters<typeof runFileName>[0]): Promise<Derived> {
  const file = runFileName(run);
  const { transcript, spent } = checkedResult(agentRunSchema, await part.json(file), file);
  const replies = transcript.filter((turn) => turn.role === "assistant");
  return {
    file: within(part, file),
    stored: { interactions: spent.interactions, llm_calls: spent.llm_calls, tokens: spent.tokens },
    derived: {
      interactions: transcript.reduce(
        (sum, turn) => sum + (turn.role === "tool" ? turn.interactions : 0),
        0,
      ),
      llm_calls: replies.length,
      tokens: replies.reduce((sum, { tokens }) => sum + tokens, 0),
    },
  };
}

async function summariserNumbers(part: PartFiles): Promise<Derived[]> {
  const name = "summariser.json";
  const kept = await part.jsonIfListed<unknown>(name);
  if (kept === undefined) return [];
  const { summaries } = checkedResult(summariserResultSchema, kept, name);
  const { truth, others } = part.manifest.steps.summariser.settings as unknown as {
    truth: RecallTruth | null;
    others: RecallTruth[];
  };
  return [{
    file: within(part, name),
    stored: summaries,
    derived: summaries.map(({ agent, ...summary }) => ({
      agent,
      ...scored(summary, truth ?? undefined, others),
    })),
  }];
}
