/** `deno task causal`: from two models to what their difference does to their losses. */

import { causalStep } from "../lens/causal/causal.ts";
import { parseCommand } from "./args.ts";
import { CAUSAL_COMMAND } from "./causal_flags.ts";
import { type CausalFlags, causalTexts, planCausal } from "./causal_inputs.ts";
import { causalJson, type CausalShown, printCausal } from "./causal_print.ts";
import { DeltaRun } from "./delta_run.ts";
import type { CommandContext } from "./run_command.ts";

/** Runs the command. */
export async function causal(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(CAUSAL_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { shown, names, description } = await causalResults(parsed.flags, context);
  if (parsed.flags.json) console.log(JSON.stringify(causalJson(shown)));
  else printCausal({ ...shown, names, description });
  return 0;
}

/** Does what is not done yet, and returns it all. */
export async function causalResults(
  flags: CausalFlags,
  { signal }: CommandContext,
): Promise<
  { shown: CausalShown; names: { base: string; finetuned: string }; description?: string }
> {
  const { mode, reverse, controls } = flags;
  const plan = await planCausal(flags);
  using run = await DeltaRun.open(flags, { ...plan, text: plan.generic }, signal);
  const { pair, positions } = run;
  const { sets, hashes } = await causalTexts(pair, flags, plan, run.source);
  const { documents, tokens } = plan;
  const settings = { mode, reverse, controls };
  const inputs = { texts: { ...hashes }, documents, tokens, positions, ...settings };
  const common = await run.begin("causal", inputs, [...sets.finetuning, ...sets.generic]);
  const result = await causalStep({ ...common, sets, ...settings });
  const names = { base: pair.base.name, finetuned: pair.finetuned.name };
  return { shown: { result, folder: common.folder.path }, names, description: plan.description };
}
