/** Routes `deno task COMMAND …` to the command's own file. */

import { UsageError } from "../engine/errors.ts";
import { recordCommandLine } from "../lens/results/command_line.ts";
import { closest } from "./closest.ts";
import { type CommandContext, runCommand } from "./run_command.ts";
import { visible } from "./visible.ts";

type Run = (args: string[], context: CommandContext) => Promise<number | void>;

/** The commands; each file is loaded only when it is asked for, which keeps the start short. */
const COMMANDS: Record<string, () => Promise<Run>> = {
  diff: async () => (await import("./diff.ts")).diff,
  relevance: async () => (await import("./relevance.ts")).relevance,
  steer: async () => (await import("./steer.ts")).steer,
  capture: async () => (await import("./capture.ts")).capture,
  generate: async () => (await import("./generate.ts")).generate,
  chat: async () => (await import("./chat.ts")).chat,
  serve: async () => (await import("./serve.ts")).serve,
  similarity: async () => (await import("./similarity.ts")).similarity,
  causal: async () => (await import("./causal.ts")).causal,
  agent: async () => (await import("./agent.ts")).agent,
  evaluate: async () => (await import("./evaluate.ts")).evaluate,
  run: async () => (await import("./run.ts")).run,
  mixing: async () => (await import("./mixing.ts")).mixing,
  audit: async () => (await import("./audit.ts")).audit,
  tune: async () => (await import("./tune.ts")).tuneCommand,
  report: async () => (await import("./report.ts")).report,
  verify: async () => (await import("./verify.ts")).verify,
  doctor: async () => (await import("./doctor.ts")).doctor,
  reproduce: async () => (await import("./reproduce.ts")).reproduce,
  organisms: async () => (await import("./organisms.ts")).organisms,
};

const USAGE = `palimpsest reads what a finetune left in a model's activations

  deno task diff        compare a base and a finetuned model and read the difference
  deno task relevance   grade which tokens belong to what the model was finetuned on
  deno task steer       add the difference to a model's activations and let it write
  deno task capture     run a model and write the activations at chosen hooks to a file
  deno task generate    continue prompts, as the model would or with its activations edited
  deno task chat        ask a base and a finetuned model the same, side by side
  deno task serve       answer other programs by OpenAI's API, on your own GPU
  deno task similarity  compare steered texts with those that the model was finetuned on
  deno task causal      measure what the difference does to a model's losses
  deno task agent       have agents find out what a model was finetuned for, and grade them
  deno task run         all of that in one folder, with a summary and a page to read
  deno task evaluate    the same on several organisms, in one table
  deno task mixing      measure how mixing generic texts into a finetuning shrinks its trace
  deno task audit       check every kernel against float64, and whole models for results that repeat
  deno task tune        find the fastest variants of the kernels on this adapter
  deno task report      make the page of a run again, or of several side by side
  deno task verify      check every file of a run, and derive its numbers again
  deno task reproduce   run again what a results folder holds, and compare file by file
  deno task doctor      show the WebGPU backends and what is missing
  deno task organisms   list the finetuned models that can be compared by name

Every command has --help.`;

if (import.meta.main) {
  await runCommand(async (context) => {
    const [name, ...args] = Deno.args;
    if (name === undefined || name === "--help" || name === "-h") {
      console.log(USAGE);
      return name === undefined ? 2 : 0;
    }
    if (!Object.hasOwn(COMMANDS, name)) {
      const near = closest(name, Object.keys(COMMANDS));
      const hint = near ? `did you mean ${near}?` : `known: ${Object.keys(COMMANDS).join(", ")}`;
      throw new UsageError(`Unknown command ${visible(name.slice(0, 80))}: ${hint}`);
    }
    recordCommandLine(Deno.args);
    const run = await COMMANDS[name]();
    return await run(args, context);
  });
}
