/** The whole method in one folder: every command in turn, each with a results folder of its own within. */

import { fingerprintOf, sha256Of } from "../lens/provenance.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { settledStep } from "../lens/results/settled_step.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import type { Steering } from "../lens/run_steer.ts";
import { type PipelineSummary, type PositionSimilarity, summarize } from "../lens/summary.ts";
import { agentResults, type AgentShown } from "./agent.ts";
import { AGENT_COMMAND } from "./agent_flags.ts";
import { causalResults } from "./causal.ts";
import { CAUSAL_COMMAND } from "./causal_flags.ts";
import { parseRanges } from "./common_flags.ts";
import { diffResults } from "./diff.ts";
import { DIFF_COMMAND } from "./diff_flags.ts";
import type { DiffShown } from "./diff_print.ts";
import { type GradingShown, sumOfGradings } from "./graders.ts";
import { INVESTIGATION_FLAGS, TRUTH_FLAGS } from "./investigation_flags.ts";
import { flagsOf, givenSettings, type PipelinePlan, planPipeline } from "./pipeline_args.ts";
import { precisionSetting } from "./precision.ts";
import { relevanceResults } from "./relevance.ts";
import { RELEVANCE_COMMAND } from "./relevance_flags.ts";
import type { CommandContext } from "./run_command.ts";
import type { RunFlags } from "./run_flags.ts";
import { similarityResults } from "./similarity.ts";
import { SIMILARITY_COMMAND } from "./similarity_flags.ts";
import { steerResults } from "./steer.ts";
import { STEER_COMMAND } from "./steer_flags.ts";
import { VERSION } from "./version.ts";

/** The summary, what an LLM's grades took, and what agents made of it all. */
export type PipelineShown = PipelineSummary & { grading?: GradingShown; agents?: AgentShown };

/** Does what is not done yet, and writes the summary and the report. */
export async function pipelineResults(
  flags: RunFlags,
  context: CommandContext,
): Promise<PipelineShown> {
  const plan = await planPipeline(flags);
  const { device, leftOut, diff, relevance, steer, similarity, causal, agent } = plan;
  const models = [...device, ...plan.precision];
  for (const { step, why } of leftOut) console.error(`Leaving out: ${step} (${why})`);
  const inputs = inputsOf(flags, plan);
  const out = flags.out ?? `results/${plan.name}-run-${await fingerprintOf(inputs)}`;
  using folder = await RunFolder.open(out, { fingerprint: inputs, overwrite: flags.overwrite });

  const within = (name: string) => [`--out=${out}/${name}`, `--overwrite=${flags.overwrite}`];
  const from = [`--from=${out}/diff`];
  const read = await diffResults(
    flagsOf(DIFF_COMMAND, [...diff, ...models, ...within("diff")]),
    context,
  );
  // The grades lie in the folder of the diff, which is there by now.
  const graded = relevance && await relevanceResults(
    flagsOf(RELEVANCE_COMMAND, [...diff, ...relevance, ...models, `--out=${out}/diff`]),
    context,
  );
  const steered = steer && await steerResults(
    flagsOf(STEER_COMMAND, [...steer, ...models, ...from, ...within("steer")]),
    context,
  );
  const compared = steered && similarity &&
    await similarityStep(folder, steered.shown.results, similarity, { device, context });
  const measured = causal && await causalResults(
    flagsOf(CAUSAL_COMMAND, [...causal, ...models, ...from, ...within("causal")]),
    context,
  );
  const summary = summarize({
    plan,
    folder: out,
    seed: flags.seed,
    positions: parseRanges(flags.positions, lastPosition(read.shown), "position"),
    diff: read.shown,
    relevance: graded?.graded[0],
    steer: steered?.shown.results,
    similarity: compared,
    causal: measured?.shown.result,
  });
  await folder.writeJson("summary.json", summary as unknown as JsonValue);
  await folder.finish("summary");
  // The relevance's grades and the diff's are in one folder.
  const grading = sumOfGradings([
    graded ? graded.grading : read.shown.grading,
    steered?.shown.grading,
  ]);
  if (grading) {
    await folder.writeJson("grading.json", grading as unknown as JsonValue);
    await folder.finish("grading");
  }
  const agents = agent && await agentResults(
    flagsOf(AGENT_COMMAND, [...agent, ...models, `--from=${out}`, ...within("agent")]),
    context,
  );
  // The library that plots is large: it is loaded when all else is done.
  const { writeReport } = await import("../lens/report/report_step.ts");
  await writeReport(out, folder);
  return { ...summary, ...(grading && { grading }), ...(agents && { agents }) };
}

function lastPosition({ results: [{ positions }] }: DiffShown): number {
  return Math.max(...positions.map(({ position }) => position));
}

/** What results depend on: not where they lie, how they are computed, nor what a server costs. */
function inputsOf(flags: RunFlags, { base, finetuned }: PipelinePlan): Record<string, JsonValue> {
  const {
    out: _o,
    overwrite: _w,
    json: _j,
    backend: _b,
    memoryBudget: _m,
    offline: _f,
    precision: _p,
    ...others
  } = flags;
  const { graderConcurrency: _c, graderInputPrice: _i, graderOutputPrice: _q, ...kept } = others;
  const graded: Partial<typeof kept> = { ...kept };
  // The agents' folder has a fingerprint of its own: they may come later, or more of them.
  for (const key of ["agent", ...Object.keys({ ...INVESTIGATION_FLAGS, ...TRUTH_FLAGS })]) {
    delete graded[key as keyof typeof graded];
  }
  // They only name the models.
  const { organism: _n, model: _l, variant: _v, ...settings } = graded;
  const given = { ...givenSettings(settings), ...precisionSetting(flags) };
  return { version: VERSION, command: "run", ...given, base, finetuned };
}

/** Compares each position's texts, again only where they are others: the file of all is `similarity.json`. */
async function similarityStep(
  folder: RunFolder,
  results: readonly Steering[],
  args: readonly string[],
  { device, context }: { device: string[]; context: CommandContext },
): Promise<PositionSimilarity[]> {
  const files = results.map(({ layer, position }) =>
    `${folder.path}/steer/steer_${layer}_${position}.json`
  );
  const samples = await Promise.all(
    files.map(async (file) => await sha256Of(await Deno.readTextFile(file))),
  );
  const step = { step: "similarity", settings: { args: [...args], samples } };
  const { positions } = await settledStep(folder, step, async () => {
    const positions = [];
    const kept = [];
    for (const [i, file] of files.entries()) {
      const flags = flagsOf(SIMILARITY_COMMAND, [...args, ...device, `--samples=${file}`]);
      const { shown: { inputs: _, ...found }, kept: own } = await similarityResults(flags, context);
      kept.push({ ...own, position: results[i].position });
      positions.push({ ...found, position: results[i].position });
    }
    await folder.writeJson("similarity_kept.json", kept as unknown as JsonValue);
    return { positions };
  });
  return positions;
}
