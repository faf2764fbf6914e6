/** `deno task run`: the whole method, into one folder. */

import { parseCommand } from "./args.ts";
import { pipelineResults } from "./pipeline.ts";
import type { CommandContext } from "./run_command.ts";
import { RUN_COMMAND } from "./run_flags.ts";
import { printSummary } from "./run_print.ts";

/** Runs the command. */
export async function run(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(RUN_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const summary = await pipelineResults(parsed.flags, context);
  if (parsed.flags.json) console.log(JSON.stringify(summary));
  else printSummary(summary);
  return 0;
}
