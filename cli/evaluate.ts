/** `deno task evaluate`: the agents' evaluation on several organisms. */

import { UsageError } from "../engine/errors.ts";
import { aggregateRuns } from "../lens/agent/aggregate.ts";
import type { EvaluatedGrades, Evaluation, SummariserResult } from "../lens/agent/results.ts";
import { fingerprintOf } from "../lens/provenance.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import { findOrganism, listOrganisms, type Organism } from "../models/organisms.ts";
import { reportedAgentResults } from "./agent.ts";
import { AGENT_COMMAND } from "./agent_flags.ts";
import { parseCommand } from "./args.ts";
import { EVALUATE_COMMAND, type EvaluateFlags } from "./evaluate_flags.ts";
import { evaluateText } from "./evaluate_print.ts";
import { chosenLlms } from "./llm_flags.ts";
import { flagsOf, flagsToArgs, givenSettings } from "./pipeline_args.ts";
import { precisionSetting } from "./precision.ts";
import type { CommandContext } from "./run_command.ts";
import { VERSION } from "./version.ts";

/** What the command found: grades, or what the summariser recalls; never both. */
export interface EvaluateShown {
  grades: EvaluatedGrades | null;
  /** `summaries.json`, without an LLM. */
  summaries: SummariserResult[] | null;
  /** The folder. */
  results: string;
}

/** Stands for every organism that ships with the program. */
const ALL_EMBEDDED = "embedded";

/** Runs the command. */
export async function evaluate(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(EVALUATE_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const shown = await evaluateResults(parsed.flags, context);
  if (parsed.flags.json) console.log(JSON.stringify(shown));
  else console.log(`\n${evaluateText(shown)}`);
  return 0;
}

/** Does what is not done yet, and tables it all. */
export async function evaluateResults(
  flags: EvaluateFlags,
  context: CommandContext,
): Promise<EvaluateShown> {
  chosenLlms(flags); // what is wrong with them is said before anything is done
  const organisms = await chosenOrganisms(flags);
  const { organisms: _o, model: _m, variant: _v, out: asked, overwrite, json: _j, ...rest } = flags;
  const { backend, memoryBudget, offline, precision: _p, ...others } = rest;
  const settings = { ...others, ...precisionSetting(flags) };
  const names = organisms.map(({ name, model, variant }) => ({ name, model, variant }));
  const inputs = {
    version: VERSION,
    command: "evaluate",
    organisms: names,
    seed: flags.seed,
    ...precisionSetting(flags),
  };
  const out = asked ??
    `results/evaluate-${await fingerprintOf({ ...inputs, ...givenSettings(settings) })}`;
  using folder = await RunFolder.open(out, { fingerprint: inputs, overwrite });
  const evaluations: Evaluation[] = [];
  const summaries: SummariserResult[] = [];
  for (const [i, { name, model, variant }] of organisms.entries()) {
    console.error(`Organism ${i + 1} of ${organisms.length}: ${name}`);
    const own = { organism: name, model, variant, out: `${out}/${name}` };
    const device = { backend, memoryBudget, offline: offline || undefined, overwrite };
    const args = flagsToArgs({ ...settings, ...own, ...device });
    const { evaluation, summariser } = await reportedAgentResults(
      flagsOf(AGENT_COMMAND, args),
      context,
    );
    if (evaluation) evaluations.push(evaluation);
    if (summariser) summaries.push(summariser);
  }
  const found = evaluations.length > 0
    ? { grades: await keepGrades(folder, evaluations), summaries: null }
    : { grades: null, summaries: await keepSummaries(folder, summaries) };
  // The library that plots is large: only those who plot wait for it.
  const { writeReport } = await import("../lens/report/report_step.ts");
  await writeReport(out, folder);
  return { ...found, results: out };
}

async function keepGrades(
  folder: RunFolder,
  evaluations: readonly Evaluation[],
): Promise<EvaluatedGrades> {
  const grades = {
    organisms: evaluations.map(({ organism, aggregates }) => ({ organism, aggregates })),
    all: aggregateRuns(evaluations.map(({ runs }) => runs)),
  };
  const { gradesPlot } = await import("../lens/agent/grades_plot.ts");
  await folder.writeJson("grades.json", grades as unknown as JsonValue);
  await folder.writeBytes("grades.svg", new TextEncoder().encode(gradesPlot(grades.all)));
  await folder.finish("grades");
  return grades;
}

async function keepSummaries(
  folder: RunFolder,
  summaries: SummariserResult[],
): Promise<SummariserResult[]> {
  await folder.writeJson("summaries.json", summaries as unknown as JsonValue);
  await folder.finish("summaries");
  return summaries;
}

async function chosenOrganisms(
  { organisms, model, variant }: EvaluateFlags,
): Promise<Organism[]> {
  const all = await listOrganisms();
  const embedded = all.filter(({ where }) => where === "embedded").map(({ name }) => name);
  const found: Organism[] = [];
  for (const name of organisms) {
    if (name !== ALL_EMBEDDED) found.push(await findOrganism(name, { model, variant }));
    else for (const one of embedded) found.push(await findOrganism(one, { model: "embedded" }));
  }
  const names = found.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`Cannot use organism ${twice} twice`);
  if (found.length > 0) return found;
  throw new UsageError("Missing --organisms: name at least one");
}
