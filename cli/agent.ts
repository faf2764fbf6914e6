/** `deno task agent`: from two models to what agents say of their difference, and what that is worth. */

import { evidenceOf } from "../lens/agent/evidence.ts";
import { askedModels } from "../lens/agent/model_access.ts";
import {
  checkedResult,
  type Evaluation,
  logitDifferenceSchema,
  type SummariserResult,
} from "../lens/agent/results.ts";
import { runAgents } from "../lens/agent/run_agents.ts";
import { runSummariser } from "../lens/agent/run_summariser.ts";
import { logitDifference } from "../lens/logit_diff.ts";
import { fingerprintOf } from "../lens/provenance.ts";
import { readIfThere } from "../lens/results/files.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { settledStep } from "../lens/results/settled_step.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import { sleep } from "../models/hub/retry.ts";
import { AGENT_COMMAND, type AgentFlags } from "./agent_flags.ts";
import {
  type AgentCommandPlan,
  blindingOf,
  genericTexts,
  planAgents,
  runEvidence,
} from "./agent_inputs.ts";
import { agentText } from "./agent_print.ts";
import { parseCommand } from "./args.ts";
import { openGpu, sourceOptions } from "./common_flags.ts";
import { chosenDeltas, layerOf } from "./deltas.ts";
import { diffResults } from "./diff.ts";
import { DIFF_COMMAND } from "./diff_flags.ts";
import { type ChosenLlms, chosenLlms } from "./llm_flags.ts";
import { identity, openPair, provenanceOf, showProgress } from "./open_pair.ts";
import { flagsOf, flagsToArgs, givenSettings, READ_POSITIONS } from "./pipeline_args.ts";
import { bothOf, measurePrecision, precisionSetting } from "./precision.ts";
import type { CommandContext } from "./run_command.ts";
import { steerResults } from "./steer.ts";
import { STEER_COMMAND } from "./steer_flags.ts";
import { promptWriter } from "./steer_inputs.ts";
import { VERSION } from "./version.ts";

/** What the command found: grades of agents, or what the summariser recalls; never both. */
export interface AgentShown {
  organism: string;
  /** What the finetuning was about, where it is known. */
  description: string | null;
  /** Null without an LLM, and where nothing could be graded. */
  evaluation: Evaluation | null;
  /** Null with an LLM. */
  summariser: SummariserResult | null;
  /** The folder. */
  results: string;
}

/** Temperature and most tokens of what agents ask for. */
const ASKED = { temperature: 1, tokens: { embedded: 48, other: 256 } };

/** Runs the command. */
export async function agent(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(AGENT_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const shown = await reportedAgentResults(parsed.flags, context);
  if (parsed.flags.json) console.log(JSON.stringify(shown));
  else console.log(`\n${agentText(shown)}`);
  return 0;
}

/** As {@link agentResults}, and then the report of the run whose part they are is made again. */
export async function reportedAgentResults(
  flags: AgentFlags,
  context: CommandContext,
): Promise<AgentShown> {
  const shown = await agentResults(flags, context);
  const run = shown.results.replace(/\/agent$/, "");
  if (run !== shown.results && await readIfThere(`${run}/fingerprint.json`) !== null) {
    // The library that plots is large: it is loaded when all else is done.
    const { writeReport } = await import("../lens/report/report_step.ts");
    await writeReport(run);
  }
  return shown;
}

/** Does what is not done yet, and returns it all. */
export async function agentResults(
  flags: AgentFlags,
  context: CommandContext,
): Promise<AgentShown> {
  const { signal } = context;
  const plan = await planAgents(flags);
  const llms = chosenLlms(flags);
  if (!llms) {
    console.error(
      "There is no --llm-model: the evidence summariser stands in for the agents; interactions and runs do not apply",
    );
  }
  const root = flags.from ?? await madeEvidence(flags, plan, context);
  using gpu = await openGpu(flags);
  const source = sourceOptions(flags, signal);
  const pair = await openPair(gpu, plan, source);
  using _shelf = pair.shelf;
  const layer = layerOf(flags, pair);
  const deltas = await chosenDeltas(
    pair,
    { ...flags, from: `${root}/diff` },
    { documents: 0, tokens: 0 },
    source,
  );
  const found = await runEvidence(root, layer);
  const texts = await genericTexts(pair, plan, flags, source);
  const inputs = {
    version: VERSION,
    command: "agent",
    base: await identity(pair.base),
    finetuned: await identity(pair.finetuned),
    delta: deltas.fingerprint,
    evidence: found.sha256,
    texts: texts.record,
    logit: { ...plan.logit },
    layer,
    seed: flags.seed,
    backend: gpu.backend,
    adapter: { ...gpu.adapter },
    ...precisionSetting(gpu),
  };
  const out = flags.from !== undefined && flags.out !== undefined ? flags.out : `${root}/agent`;
  using folder = await RunFolder.open(out, { fingerprint: inputs, overwrite: flags.overwrite });
  const common = { gpu, layers: [layer], folder, progress: showProgress, signal };
  const provenance = provenanceOf(gpu);
  const { models, tokenizer } = pair;
  const { documents } = texts;
  const hook = `blocks.${layer}.hook_resid_post`;
  await measurePrecision(gpu, bothOf(models), documents, { hook });
  const difference = await settledStep(
    folder,
    { step: "logit_diff", settings: { ...plan.logit }, provenance },
    async () => {
      const total = 2 * documents.length;
      const bar = showProgress("Comparing logits", total, "passes");
      const progress = (done: number) => bar.update(done);
      return await logitDifference({ models, tokenizer, documents, progress, signal })
        .finally(() => bar.done()) as unknown as JsonValue;
    },
  );
  const checked = checkedResult(logitDifferenceSchema, difference, "logit_diff.json");
  const evidence = evidenceOf(found.readout, found.steering, checked);
  const { name, truth } = plan;
  const shown = { organism: name, description: truth?.description ?? null, results: out };
  if (!llms) {
    const agents = plan.agents.agents.map((one) => one.agent);
    const summariser = await runSummariser({
      ...{ folder, organism: name, family: truth?.family ?? "unknown", agents, evidence },
      ...{ background: texts.background, truth: plan.recall, others: plan.others, provenance },
    });
    return { ...shown, evaluation: null, summariser };
  }
  const means = await deltas.means(common);
  const { hiddenSize } = pair.spec;
  const { write, stopIds } = await promptWriter(pair);
  const embedded = plan.organism?.model === "embedded" ? "embedded" : "other";
  const access = askedModels({
    ...{ models, tokenizer, stopIds, layer, signal },
    write: (text) => write(text).ids,
    temperature: ASKED.temperature,
    tokens: flags.newTokens ?? ASKED.tokens[embedded],
    steering: new Map(found.steering.map(({ position, alpha }) => {
      const row = position - deltas.firstPosition;
      const delta = means.delta.subarray(row * hiddenSize, (row + 1) * hiddenSize);
      return [position, { delta, alpha }];
    })),
  });
  const evaluation = await runAgents({
    ...{ folder, organism: name, evidence, models: access, truth, seed: flags.seed, signal },
    blinding: blindingOf(plan, pair),
    plan: plan.agents,
    ...askedBy(flags, llms),
    clock: { sleep, random: Math.random },
    provenance,
    progress: showProgress,
  });
  return { ...shown, evaluation, summariser: null };
}

function askedBy(flags: AgentFlags, { llm, grader }: ChosenLlms) {
  const { protocol = "tools", llmTemperature: temperature = 1 } = flags;
  return { llm: { ...llm, protocol, temperature, concurrency: flags.llmConcurrency ?? 4 }, grader };
}

/** The folder of the results that the evidence comes from, made where they are not there. */
async function madeEvidence(
  flags: AgentFlags,
  { base, finetuned, organism, name }: AgentCommandPlan,
  context: CommandContext,
): Promise<string> {
  const pair = organism
    ? { organism: organism.name, model: organism.model, variant: organism.variant }
    : { base, finetuned };
  const { layers, seed, text, column, positions, documents, alpha, decisions } = flags;
  const { searchSamples, searchTokens, samples, newTokens, prompts } = flags;
  const common = { ...pair, layers, seed };
  const drawn = { alpha, decisions, searchSamples, searchTokens, samples, newTokens, prompts };
  const settings = givenSettings({
    ...{ ...common, ...drawn, text, column, positions, documents },
    ...precisionSetting(flags),
  });
  const inputs = { version: VERSION, command: "agent", base, finetuned, ...settings };
  const out = flags.out ?? `results/${name}-agent-${await fingerprintOf(inputs)}`;
  const { backend, memoryBudget, precision, offline, overwrite } = flags;
  using _folder = await RunFolder.open(out, {
    fingerprint: { ...inputs, command: "evidence" },
    overwrite,
  });
  const device = { backend, memoryBudget, precision, offline: offline || undefined, overwrite };
  const read = { text, column, documents, positions: [READ_POSITIONS, ...positions] };
  await diffResults(
    flagsOf(DIFF_COMMAND, flagsToArgs({ ...common, ...read, ...device, out: `${out}/diff` })),
    context,
  );
  const steered = { positions, ...drawn, from: `${out}/diff`, out: `${out}/steer` };
  await steerResults(
    flagsOf(STEER_COMMAND, flagsToArgs({ ...common, ...steered, ...device })),
    context,
  );
  return out;
}
