/** `deno task steer`: from two models to texts that the finetuned one writes under their difference. */

import { KeptGrades } from "../lens/graders/kept_grades.ts";
import { runSteer } from "../lens/run_steer.ts";
import { parseCommand } from "./args.ts";
import { DeltaRun } from "./delta_run.ts";
import { checkGrader } from "./grader_flags.ts";
import { graderFor, gradingShown } from "./graders.ts";
import type { CommandContext } from "./run_command.ts";
import { STEER_COMMAND } from "./steer_flags.ts";
import { planSteer, type SteerFlags, steerPrompts } from "./steer_inputs.ts";
import { printSteer, steerJson, type SteerShown } from "./steer_print.ts";

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
  using run = await DeltaRun.open(flags, plan, signal);
  const { pair } = run;
  const { search, prompts, stopIds } = await steerPrompts(pair, flags);
  const common = await run.begin("steer", {}, prompts.map(({ ids }) => ids));
  const { folder, seed } = common;
  const grading = graderFor(flags, {
    pair,
    grades: await KeptGrades.open(folder),
    texts: { prompts: search.map(({ ids }) => ids), drawing: plan.search, stopIds },
    seed,
    signal,
  });
  const results = await runSteer({
    ...common,
    grading,
    searchPrompts: search,
    prompts,
    search: plan.search,
    decisions: flags.decisions,
    drawing: plan.drawing,
    alpha: flags.alpha,
    alsoBase: flags.also === "base",
    stopIds,
  });
  const shown = { results, grading: gradingShown(flags, grading), folder: folder.path };
  return { shown, name: pair.finetuned.name, description: plan.description };
}
