/** `deno task report`: the page of a run, made again from its results; or one of several runs side by side. */

import { UsageError } from "../engine/errors.ts";
import { writeAtomically } from "../lens/results/atomic_file.ts";
import { makeFolder } from "../lens/results/files.ts";
import { type Command, type Flags, parseCommand } from "./args.ts";
import { visible } from "./visible.ts";

const COMMAND = {
  usage: "deno task report",
  summary:
    "Makes report.html of a results folder again, from its files alone: no models, no GPU. The same results give the same bytes. " +
    "Of several folders it makes one page that compares them.",
  positionals: ["DIR…"],
  flags: {
    out: {
      kind: "string",
      placeholder: "FILE",
      help:
        "where to write the page (default: DIR/report.html; of several folders comparison.html)",
    },
    json: { kind: "bool", help: "print one JSON object that names the page" },
  },
  examples: [
    { command: "deno task report results/cake_bake-run-1a2b3c4d", does: "the page of one run" },
    {
      command: "deno task report results/a results/b --out a_and_b.html",
      does: "what differs between two runs, side by side",
    },
  ],
} as const satisfies Command<Flags>;

/** Runs the command. */
export async function report(args: string[]): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags, positionals: folders } = parsed;
  if (folders.length === 0) throw new UsageError("Missing DIR: name a folder of results");
  const page = await written(folders, flags.out);
  if (flags.json) console.log(JSON.stringify({ report: page, runs: folders }));
  else console.log(`Report: ${visible(page)}`);
  return 0;
}

/** Writes the page that is asked for, and returns its path. */
async function written(folders: readonly string[], out: string | undefined): Promise<string> {
  if (folders.length === 1 && out === undefined) {
    const { writeReport } = await import("../lens/report/report_step.ts");
    return await writeReport(folders[0].replace(/(?<=.)\/+$/, ""));
  }
  const { readRun } = await import("../lens/report/run_results.ts");
  const runs = [];
  for (const folder of folders) runs.push(await readRun(folder));
  const path = out ?? "comparison.html";
  await writePage(path, await rendered(runs));
  return path;
}

async function rendered(
  runs: Parameters<typeof import("../lens/report/compare.ts").renderComparison>[0],
) {
  if (runs.length > 1) return (await import("../lens/report/compare.ts")).renderComparison(runs);
  return (await import("../lens/report/render.ts")).renderRun(runs[0]);
}

async function writePage(path: string, html: string): Promise<void> {
  const cut = path.lastIndexOf("/");
  const folder = cut < 0 ? "." : path.slice(0, cut) || "/";
  const name = path.slice(cut + 1);
  if (name === "") throw new UsageError(`Cannot write the page to "${path}": that is a folder`);
  await makeFolder(folder);
  await writeAtomically(folder, name, new TextEncoder().encode(html));
}
