/** `deno task steer`: from two models to texts that the finetuned one writes under their difference. */

import { KeptGrades } from "../lens/graders/kept_grades.ts";
import { fingerprintOf } from "../lens/provenance.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { runSteer } from "../lens/run_steer.ts";
import { parseCommand } from "./args.ts";
import { openGpu, sourceOptions } from "./common_flags.ts";
import { chosenDeltas, layerOf, positionsOf } from "./deltas.ts";
import { checkGrader } from "./grader_flags.ts";
import { graderFor, gradingShown } from "./graders.ts";
import { identity, openPair, provenanceOf, showProgress } from "./open_pair.ts";
import type { CommandContext } from "./run_command.ts";
import { STEER_COMMAND } from "./steer_flags.ts";
import { planSteer, type SteerFlags, steerPrompts } from "./steer_inputs.ts";
import { printSteer, steerJson, type SteerShown } from "./steer_print.ts";
import { VERSION } from "./version.ts";

/** Runs the command. */
export async function steer(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(STEER_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { shown, name, description } = await steerResults(parsed.flags, context);
  if (parsed.flags.json) console.log(JSON.stringify(steerJson(shown)));
  else printSteer({ ...shown, name, description });
  return 0;
}

/** Does what is not done yet, and returns it all. */
export async function steerResults(
  flags: SteerFlags,
  { signal }: CommandContext,
): Promise<{ shown: SteerShown; name: string; description?: string }> {
  const plan = await planSteer(flags);
  checkGrader(flags);
  using gpu = await openGpu(flags);
  const source = sourceOptions(flags, signal);
  const pair = await openPair(gpu, plan, source);
  using _shelf = pair.shelf;
  const layer = layerOf(flags, pair);
  const positions = positionsOf(flags, pair);
  const { search, prompts, stopIds } = await steerPrompts(pair, flags);
  const deltas = await chosenDeltas(pair, flags, { text: plan.text, ...plan.delta }, source);

  const inputs = {
    version: VERSION,
    command: "steer",
    base: await identity(pair.base),
    finetuned: await identity(pair.finetuned),
    delta: deltas.fingerprint,
    column: flags.column ?? null,
    layer,
    seed: flags.seed,
    backend: gpu.backend,
    adapter: { ...gpu.adapter },
  };
  const out = flags.out ?? `results/${pair.finetuned.name}-steer-${await fingerprintOf(inputs)}`;
  using folder = await RunFolder.open(out, { fingerprint: inputs, overwrite: flags.overwrite });
  const means = await deltas.means({
    gpu,
    layers: [layer],
    folder,
    progress: showProgress,
    signal,
  });
  const grades = await KeptGrades.open(folder);
  const grading = graderFor(flags, {
    pair,
    grades,
    texts: { prompts: search.map(({ ids }) => ids), drawing: plan.search, stopIds },
    seed: flags.seed,
    signal,
  });
  const results = await runSteer({
    models: pair.models,
    tokenizer: pair.tokenizer,
    seed: flags.seed,
    folder,
    provenance: provenanceOf(gpu),
    progress: showProgress,
    signal,
    layer,
    means,
    firstPosition: deltas.firstPosition,
    positions,
    grading,
    searchPrompts: search,
    prompts,
    search: plan.search,
    decisions: flags.decisions,
    drawing: plan.drawing,
    alpha: flags.alpha,
    alsoBase: flags.alsoBase,
    stopIds,
  });
  const shown = { results, grading: gradingShown(flags, grading), folder: folder.path };
  return { shown, name: pair.finetuned.name, description: plan.description };
}
