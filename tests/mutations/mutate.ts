/**
 * `deno task mutate`: plants bugs one by one in a copy of the tree and runs the tests that must see them, then, for a bug
 * that they do not see, all fast tests. Fails where fewer than 95 % are caught, or where a survivor has no reason in
 * survivors.ts; with a sample, where it has far too many survivors.
 */

import { matchesGlob } from "../../engine/audit/names.ts";
import { DeviceError, UsageError } from "../../engine/errors.ts";
import { type Command, type Flags, parseCommand } from "../../cli/args.ts";
import { startProgress } from "../../cli/progress.ts";
import { runCommand } from "../../cli/run_command.ts";
import { allMutants, plantedSources, sampleOf } from "./all.ts";
import { judge } from "./judge.ts";
import {
  keptOutcomes,
  keyOf,
  type Outcome,
  outcomesMarkdown,
  summarise,
  type Summary,
} from "./outcomes.ts";
import { copyTree, runTests } from "./tree.ts";

/** Quick, and uses the device. */
const SOUND = "tests/adapter_tables_test.ts";

const COMMAND = {
  usage: "deno task mutate",
  summary:
    "Plants bugs one by one in a copy of the tree and runs the tests; 95 % must be caught, and survivors explained.",
  flags: {
    sample: { kind: "int", min: 1, help: "so many of them, drawn by the seed (default: all)" },
    seed: { kind: "int", min: 0, default: 0, help: "for the sample" },
    only: {
      kind: "list",
      placeholder: "GLOB,…",
      help: "only bugs in these files, such as shaders/* ",
    },
    list: { kind: "bool", help: "print the bugs and stop" },
    quick: { kind: "bool", help: "do not run all fast tests on what the named tests let pass" },
    keep: {
      kind: "string",
      placeholder: "FILE",
      help:
        "keep outcomes there, a line each, and do not judge again what it has: the whole takes an hour",
    },
    json: { kind: "bool", help: "print one JSON object" },
    out: { kind: "string", placeholder: "FILE", help: "also write the result there, as Markdown" },
  },
  examples: [
    { command: "deno task mutate --sample 20 --seed 3", does: "twenty of them" },
    { command: "deno task mutate --only shaders/matmul*", does: "those of the matrix products" },
  ],
} as const satisfies Command<Flags>;

if (import.meta.main) {
  await runCommand(async ({ signal }) => {
    const parsed = parseCommand(COMMAND, Deno.args);
    if (parsed.kind === "help") {
      console.log(parsed.text);
      return 0;
    }
    const { flags } = parsed;
    const known = await allMutants();
    // All must fit the sources, whatever the sample.
    const sources = await plantedSources(known);
    const all = known.map((mutant, i) => ({ mutant, source: sources[i] }));
    const wanted = all.filter(({ mutant }) => !flags.only || matchesGlob(mutant.file, flags.only));
    if (wanted.length === 0) throw new UsageError("Cannot find a bug in these files: see --list");
    const chosen = flags.sample ? sampleOf(wanted, flags.sample, flags.seed) : wanted;
    if (flags.list) {
      for (const { mutant } of chosen) console.log(`${mutant.file}: ${mutant.what}`);
      return 0;
    }
    const copy = await copyTree();
    const bar = startProgress({
      label: "Planting bugs",
      total: chosen.length,
      unit: "bugs",
      quiet: flags.json,
    });
    const kept = await keptOutcomes(flags.keep);
    const outcomes: Outcome[] = [];
    try {
      await assertSound(copy, signal);
      for (const { mutant, source } of chosen) {
        signal.throwIfAborted();
        const key = await keyOf(mutant, source);
        const before = kept.get(key);
        const outcome = before
          ? { ...before, mutant }
          : await judge(copy, mutant, flags.quick, signal);
        outcomes.push(outcome);
        if (flags.keep && !before) {
          const { state, by } = outcome;
          const line = JSON.stringify({ key, state, by, file: mutant.file, what: mutant.what });
          await Deno.writeTextFile(flags.keep, `${line}\n`, { append: true });
        }
        if (outcome.state === "survived") console.error(`survived: ${mutant.file}: ${mutant.what}`);
        bar.update(outcomes.length, mutant.file);
      }
    } finally {
      bar.done();
      await Deno.remove(copy, { recursive: true });
    }
    const summary = summarise(outcomes, { all: chosen.length === known.length });
    if (flags.out) await Deno.writeTextFile(flags.out, outcomesMarkdown(outcomes, summary));
    if (flags.json) console.log(JSON.stringify(summary));
    else printSummary(summary);
    return summary.holds ? 0 : 1;
  });
}

/** Without a bug the tests pass: otherwise any failure would count as one that is caught. */
async function assertSound(copy: string, signal: AbortSignal): Promise<void> {
  const { passed, output } = await runTests(copy, [SOUND], undefined, signal);
  signal.throwIfAborted();
  if (passed) return;
  throw new DeviceError(
    `Cannot judge bugs: ${SOUND} fails without one\n${output.trimEnd().slice(-2000)}`,
  );
}

function printSummary({ caught, judged, invalid, survivors, broken }: Summary): void {
  console.log(`${caught} of ${judged} bugs are caught, ${invalid} more do not compile`);
  for (const { file, what, reason } of survivors) {
    console.log(`  survived: ${file}: ${what}\n    ${reason ?? "no reason known"}`);
  }
  for (const { file, what } of broken) console.log(`  is no program: ${file}: ${what}`);
}
