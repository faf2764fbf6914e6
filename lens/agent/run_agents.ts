/** The agents' evaluation as steps of a run: every investigation, then every grading, each kept when it is done. */

import type { StepProgress } from "../diff_run.ts";
import type { ToolModel } from "../graders/llm/client.ts";
import type { AskOptions } from "../graders/llm/asker.ts";
import { KeptGrades } from "../graders/kept_grades.ts";
import type { Clock } from "../graders/llm/patience.ts";
import { allOrNone, Slots } from "../graders/llm/slots.ts";
import type { Prices } from "../graders/llm/tally.ts";
import { sha256Of } from "../provenance.ts";
import type { RunFolder } from "../results/run_folder.ts";
import { type JsonValue, stableJson } from "../results/stable_json.ts";
import { aggregateRuns } from "./aggregate.ts";
import type { Blinding } from "./blinding.ts";
import type { AskedModels, Evidence } from "./evidence.ts";
import { type GroundTruth, HypothesisGrader } from "./hypothesis_grader.ts";
import { investigate } from "./investigate.ts";
import { KeptRuns } from "./kept_runs.ts";
import { firstMessage } from "./prompts.ts";
import { type ProtocolName, PROTOCOLS } from "./protocols.ts";
import {
  type AgentName,
  type AgentRun,
  checkedResult,
  type Evaluation,
  evaluationSchema,
  runFileName,
} from "./results.ts";
import { startedRun } from "./started_run.ts";
import { toolsOf } from "./tools.ts";

/** Who investigates how often, and what each may spend. */
export interface AgentPlan {
  /** Each agent with its budgets of interactions. */
  agents: readonly { agent: AgentName; interactions: readonly number[] }[];
  /** Of each agent and budget. */
  runs: number;
  llmCalls: number;
  tokens: number;
}

/** What the evaluation needs. */
export interface AgentsRun {
  folder: RunFolder;
  organism: string;
  evidence: Evidence;
  models: AskedModels;
  blinding: Blinding;
  /** Absent where it is not known: then nothing is graded. */
  truth?: GroundTruth;
  plan: AgentPlan;
  llm: {
    chat: ToolModel;
    protocol: ProtocolName;
    temperature: number;
    /** Investigations under way at a time. */
    concurrency: number;
    prices?: Prices;
  };
  grader: Pick<AskOptions, "chat" | "concurrency" | "prices">;
  seed: number;
  clock: Clock;
  provenance: () => Promise<Record<string, JsonValue>>;
  progress: (label: string, total: number, unit: string) => StepProgress;
  signal?: AbortSignal;
}

/** Does what is not done yet, and returns the grades; null where the ground truth is not known. */
export async function runAgents(run: AgentsRun): Promise<Evaluation | null> {
  const runs = await investigations(run);
  return run.truth === undefined ? null : await gradings(run, run.truth, runs);
}

/** Every investigation of the plan, in its order. */
async function investigations(run: AgentsRun): Promise<AgentRun[]> {
  const { folder, plan, progress, signal, llm } = run;
  const kept = new KeptRuns(folder);
  const fresh: AgentRun[] = [];
  for (const { agent, interactions } of plan.agents) {
    for (const budget of interactions) {
      for (let i = 1; i <= plan.runs; i++) fresh.push(await newRun(run, agent, budget, i));
    }
  }
  const taken: AgentRun[] = [];
  for (const one of fresh) taken.push(await kept.take(one));
  const files = taken.map(({ agent, budget, run }) =>
    runFileName({ agent, interactions: budget.interactions, run })
  );
  const step = "agents";
  if (sameSettings(folder, step, { files }) && await folder.has(step)) return taken;
  const open = taken.filter(({ end }) => end === null);
  const bar = progress("Investigating", taken.length, "runs");
  let done = taken.length - open.length;
  bar.update(done);
  try {
    const slots = new Slots(llm.concurrency);
    // Once one has failed for good the others end their message, which is paid for, and no more.
    await allOrNone(open, signal, (one, stop) =>
      slots.run(async () => {
        await goOn(run, one, kept, stop);
        bar.update(++done);
      }));
  } finally {
    bar.done();
  }
  // All of them belong to the step, those of an earlier one too.
  for (const one of taken) await kept.keep(one);
  await folder.finish(step, { settings: { files }, ...await run.provenance() });
  return taken;
}

async function newRun(
  run: AgentsRun,
  agent: AgentName,
  interactions: number,
  number: number,
): Promise<AgentRun> {
  const { llm: { chat, protocol, temperature }, plan } = run;
  const budget = { interactions, llm_calls: plan.llmCalls, tokens: plan.tokens };
  const { opening, tools } = openingOf(run, agent, budget);
  const seed = run.seed + number;
  const described = tools.map(({ name, description, parameters }) => ({
    name,
    description,
    parameters: parameters as JsonValue,
  }));
  const settings = await sha256Of(stableJson({
    ...{ agent, budget, seed, opening, protocol, temperature, tools: described },
    model: chat.model,
    evidence: run.evidence as unknown as JsonValue,
  }, "settings"));
  return startedRun({ agent, run: number, seed, model: chat.model, protocol, settings, budget });
}

function openingOf(run: AgentsRun, agent: AgentName, budget: AgentRun["budget"]) {
  const { evidence, models, llm, blinding } = run;
  const tools = toolsOf(agent, evidence, models);
  const protocol = PROTOCOLS[llm.protocol];
  const opening = blinding.hide(firstMessage({ agent, evidence, budget, protocol, tools }));
  return { opening, tools };
}

async function goOn(
  run: AgentsRun,
  one: AgentRun,
  kept: KeptRuns,
  stop: AbortSignal,
): Promise<void> {
  const { llm: { chat, temperature, prices }, blinding, clock, signal } = run;
  await investigate(one, {
    llm: chat,
    ...openingOf(run, one.agent, one.budget),
    blinding,
    temperature,
    clock,
    async keep(now) {
      now.cost = costOf(now, prices);
      await kept.keep(now);
    },
    stop,
    signal,
  });
}

function costOf({ spent }: AgentRun, prices?: Prices): number | null {
  if (!prices || spent.uncounted > 0) return null;
  return (spent.input_tokens * prices.input + spent.output_tokens * prices.output) / 1e6;
}

/** Grades every run; gradings that are in the folder's record are not asked for again. */
async function gradings(
  run: AgentsRun,
  truth: GroundTruth,
  runs: readonly AgentRun[],
): Promise<Evaluation> {
  const { folder, grader, seed, clock, signal, progress, llm } = run;
  const file = "evaluation.json";
  const settings = {
    ...{ grader: grader.chat.model, seed, organism: run.organism },
    truth: { ...truth, keyFacts: [...truth.keyFacts] },
    runs: await sha256Of(stableJson(runs as unknown as JsonValue, "runs")),
  };
  const step = "evaluation";
  if (!sameSettings(folder, step, settings) || !await folder.has(step)) {
    const grades = await KeptGrades.open(folder);
    const asker = new HypothesisGrader({
      ...grader,
      ...clock,
      truth,
      seed,
      signal,
      log: grades,
      answers: grades.answers,
    });
    const bar = progress("Grading", runs.length, "runs");
    let done = 0;
    const graded = await allOrNone(runs, signal, async (one) => {
      const result = await asker.grade(one).finally(() => grades.save());
      bar.update(++done);
      return result;
    }).finally(() => bar.done());
    const evaluation: Evaluation = {
      organism: run.organism,
      family: truth.family,
      llm: llm.chat.model,
      protocol: llm.protocol,
      grader: asker.name,
      runs: graded,
      aggregates: aggregateRuns([graded]),
      grader_usage: grades.usage(grader.prices),
    };
    // The library that plots is large: only those who plot wait for it.
    const { gradesPlot } = await import("./grades_plot.ts");
    await grades.file();
    await folder.writeJson(file, evaluation as unknown as JsonValue);
    await folder.writeBytes(
      "evaluation.svg",
      new TextEncoder().encode(gradesPlot(evaluation.aggregates)),
    );
    await folder.finish(step, { settings, ...await run.provenance() });
  }
  return checkedResult(evaluationSchema, await folder.readJson(file), file);
}

function sameSettings(folder: RunFolder, step: string, settings: JsonValue): boolean {
  const kept = folder.step(step)?.settings;
  return kept !== undefined && stableJson(kept, step) === stableJson(settings, step);
}
