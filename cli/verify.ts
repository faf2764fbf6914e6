/** `deno task verify`: whether a run's files are what was written, and its numbers what follows from them. */

import { UsageError } from "../engine/errors.ts";
import type { Verification } from "../lens/verify/verify.ts";
import { type Command, type Flags, parseCommand } from "./args.ts";
import { visible } from "./visible.ts";

const COMMAND = {
  usage: "deno task verify",
  summary:
    "Checks the results in a folder without a GPU: the SHA-256 of every file, every number that follows from other files, and " +
    "report.html against a new one. Ends with 0 if all is as it was written, else with 1 and the names of the files.",
  positionals: ["DIR"],
  flags: {
    json: { kind: "bool", help: "print one JSON object" },
  },
  examples: [
    { command: "deno task verify results/cake_bake-run-1a2b3c4d", does: "a run and all its parts" },
    {
      command: "deno task verify results/cake_bake-run-1a2b3c4d --json | jq .digest",
      does: "the hash that stands for the whole run, to note elsewhere",
    },
  ],
} as const satisfies Command<Flags>;

/** Runs the command. */
export async function verify(args: string[]): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const [folder] = parsed.positionals;
  if (folder === undefined) throw new UsageError("Missing DIR: name a folder of results");
  const { verifyRun } = await import("../lens/verify/verify.ts");
  const found = await verifyRun(folder.replace(/(?<=.)\/+$/, ""));
  const ok = found.problems.length === 0;
  if (parsed.flags.json) console.log(JSON.stringify({ ok, ...found, results: folder }));
  else console.log(verificationText(found, folder));
  return ok ? 0 : 1;
}

/** What was found, as lines. */
export function verificationText(found: Verification, folder: string): string {
  const { problems, files, numbers, report, digest } = found;
  if (problems.length > 0) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    return [
      `${count} in ${visible(folder)}:`,
      ...problems.map(({ file, problem }) => `  ${visible(file)}: ${visible(problem)}`),
    ].join("\n");
  }
  return [
    `Verified ${visible(folder)}`,
    `  ${files.toLocaleString("en")} files are as they were written`,
    `  ${numbers.toLocaleString("en")} numbers come out the same when they are derived again`,
    report
      ? "  report.html is the same, byte for byte, when it is made again"
      : "  there is no report.html",
    `  digest of the whole run: ${digest}`,
  ].join("\n");
}
