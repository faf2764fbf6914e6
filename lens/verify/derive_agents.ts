/** Grades from the grader's raw answers, their aggregates, and what the evidence summariser recalls. */

import type { z } from "zod";
import { aggregateRuns } from "../agent/aggregate.ts";
import { gradesPlot } from "../agent/grades_plot.ts";
import { type GroundTruth, HypothesisGrader } from "../agent/hypothesis_grader.ts";
import type { RecallTruth } from "../agent/recall.ts";
import {
  agentRunSchema,
  checkedResult,
  type Evaluation,
  evaluationSchema,
  runFileName,
  type SummariserResult,
  summariserResultSchema,
} from "../agent/results.ts";
import { scored } from "../agent/run_summariser.ts";
import { nobody } from "../graders/llm/llm_grader.ts";
import { answersOf, parseGrades } from "../graders/llm/log.ts";
import { PartFiles, within } from "../report/run_files.ts";
import type { RunResults } from "../report/run_results.ts";
import type { Derived } from "./problem.ts";

/** Everything of an evaluation that can be derived again; the folder may be one without any. */
export async function deriveAgents(part: PartFiles): Promise<Derived[]> {
  return [...await evaluationNumbers(part), ...await summariserNumbers(part)];
}

/** What is said of several organisms, from the folder of each. */
export async function deriveOrganisms(
  outer: PartFiles,
  { organisms, parts }: Pick<RunResults, "organisms" | "parts">,
): Promise<Derived[]> {
  const read = async <T>(schema: z.ZodType<T>, organism: string, name: string) => {
    const folder = `${organism}/agent`;
    // The name is read from a file: it leads nowhere but to a folder of the run.
    const known = parts.some(({ name }) => name === organism);
    const part = known ? await PartFiles.open(`${outer.path}/${folder}`, folder) : null;
    return checkedResult(schema, await part?.jsonIfListed<unknown>(name), `${folder}/${name}`);
  };
  const derived: Derived[] = [];
  if (organisms?.grades) {
    const stored = organisms.grades;
    const evaluations: Evaluation[] = [];
    for (const { organism } of stored.organisms) {
      evaluations.push(await read(evaluationSchema, organism, "evaluation.json"));
    }
    const each = evaluations.map(({ aggregates }, i) => ({
      organism: stored.organisms[i].organism,
      aggregates,
    }));
    const all = aggregateRuns(evaluations.map(({ runs }) => runs));
    derived.push({ file: "grades.json", stored, derived: { organisms: each, all } }, {
      file: "grades.svg",
      stored: new TextDecoder().decode(await outer.bytes("grades.svg")),
      derived: gradesPlot(stored.all),
    });
  }
  if (organisms?.summaries) {
    const again: SummariserResult[] = [];
    for (const { organism } of organisms.summaries) {
      again.push(await read(summariserResultSchema, organism, "summariser.json"));
    }
    derived.push({ file: "summaries.json", stored: organisms.summaries, derived: again });
  }
  return derived;
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
