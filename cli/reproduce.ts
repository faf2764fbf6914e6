/** `deno task reproduce DIR`: the same run again into a fresh folder, and how far its files are from the first. */

import { ResultsError, UsageError } from "../engine/errors.ts";
import type { FileComparison } from "../lens/reproduce/compare.ts";
import {
  changedInputs,
  compareRuns,
  readRecordedRun,
  type RecordedRun,
  redirected,
} from "../lens/reproduce/recorded_run.ts";
import { type Command, type Flags, parseCommand } from "./args.ts";
import type { CommandContext } from "./run_command.ts";
import { formatTable } from "./table.ts";
import { VERSION } from "./version.ts";
import { visible } from "./visible.ts";

const COMMAND = {
  usage: "deno task reproduce",
  summary:
    "Runs again what a results folder holds, from the command lines in its manifest, into a fresh folder, and compares file by\n" +
    "file. Ends with 0 where every file is the same, byte for byte, else with 1. Paths in the command lines are taken from the\n" +
    "current folder. Another adapter is allowed, and said to be another.",
  positionals: ["DIR"],
  flags: {
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "where the new run goes; it must not be there (default: DIR-reproduced)",
    },
    backend: {
      kind: "string",
      choices: ["auto", "deno", "dawn"],
      help: "another WebGPU implementation than the recorded run's",
    },
    json: { kind: "bool", help: "print one JSON object" },
  },
  examples: [
    { command: "deno task reproduce results/cake_bake-1a2b3c4d", does: "again, on this machine" },
    {
      command: "deno task reproduce results/cake_bake-1a2b3c4d --backend dawn",
      does: "on the other implementation: files differ by rounding, and by how much is shown",
    },
  ],
} as const satisfies Command<Flags>;

/** Runs the command. */
export async function reproduce(args: string[], { signal }: CommandContext): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags, positionals: [given] } = parsed;
  if (given === undefined) throw new UsageError("Missing DIR: name a folder of results");
  const from = given.replace(/(?<=.)\/+$/, "");
  const to = flags.out ?? `${from}-reproduced`;
  const old = await readRecordedRun(from);
  await checkFree(to);
  checkWhole(old, from);
  for (const command of old.commands) {
    await runAgain(
      redirected(command, { from: recordedOut(command) ?? from, to, backend: flags.backend }),
      signal,
    );
  }
  const fresh = await readRecordedRun(to);
  const files = await compareRuns({ folder: from, run: old }, { folder: to, run: fresh });
  const changed = changedInputs(old, fresh);
  const identical = files.every(({ state }) => state === "identical");
  if (flags.json) {
    console.log(JSON.stringify({ identical, folder: to, changed_inputs: changed, files }));
  } else {
    printComparison(files, {
      changed,
      identical,
      to,
      old: old.fingerprint,
      fresh: fresh.fingerprint,
    });
  }
  return identical ? 0 : 1;
}

/** The folder that a command line names as its own; it may have been moved since. */
function recordedOut(command: readonly string[]): string | undefined {
  const at = command.findIndex((argument) => /^--out(=|$)/.test(argument));
  if (at < 0) return undefined;
  return command[at] === "--out" ? command[at + 1] : command[at].slice("--out=".length);
}

/** The folders within a run's were made by the run. */
function checkWhole({ commands, steps }: RecordedRun, folder: string): void {
  const whole = commands.find(([name]) => name === "run" || name === "mixing");
  if (whole === undefined || steps.includes("summary") || steps.includes("mixing")) return;
  throw new ResultsError(
    `Cannot reproduce "${folder}": it is a part of what deno task ${
      whole[0]
    } made; name the whole folder`,
  );
}

async function checkFree(to: string): Promise<void> {
  const there = await Deno.stat(to).then(() => true, () => false);
  if (there) throw new UsageError(`Cannot reproduce into "${to}": it is there; use another --out`);
}

async function runAgain(command: readonly string[], signal: AbortSignal): Promise<void> {
  console.error(`deno task ${command.map(visible).join(" ")}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${import.meta.dirname}/main.ts`, ...command],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const { code } = await child.status;
  signal.throwIfAborted();
  if (code !== 0) {
    throw new ResultsError(`Cannot reproduce: deno task ${visible(command[0])} ended with ${code}`);
  }
}

function printComparison(
  files: readonly FileComparison[],
  { changed, identical, to, old, fresh }: {
    changed: readonly string[];
    identical: boolean;
    to: string;
    old: Record<string, unknown>;
    fresh: Record<string, unknown>;
  },
): void {
  const rows = files.map(({ file, state, distance, differences }) => [
    file,
    state === "identical" ? "same bytes" : state,
    distance === undefined ? "" : Number.isFinite(distance) ? distance.toExponential(1) : "∞",
    differences[0] ?? "",
  ]);
  const titles = [{ title: "file" }, { title: "state" }, { title: "distance" }, {
    title: "first difference",
  }];
  console.log(formatTable(titles, rows));
  const same = files.filter(({ state }) => state === "identical").length;
  console.log(
    `\n${same} of ${files.length} files are the same, byte for byte (version ${VERSION})`,
  );
  for (const key of changed) {
    const show = (value: unknown) => visible(JSON.stringify(value ?? null).slice(0, 200));
    console.log(
      `Not the same as then: ${visible(key)} was ${show(old[key])}, is ${show(fresh[key])}`,
    );
  }
  if (!identical) console.log(`The new run is in ${visible(to)}`);
}
