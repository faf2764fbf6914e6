/**
 * `deno task mutate`: plants bugs one by one in a copy of the tree and runs the tests that must see them, then, for a bug
 * that they do not see, all fast tests. Fails where fewer than 95 % are caught, or where a survivor has no reason in
 * survivors.ts.
 */

import { KERNEL_CASES } from "../../engine/audit/cases.ts";
import { Draw } from "../../engine/audit/inputs.ts";
import { matchesGlob } from "../../engine/audit/names.ts";
import { UsageError } from "../../engine/errors.ts";
import { type Command, type Flags, parseCommand } from "../../cli/args.ts";
import { prepareEnvironment } from "../../cli/driver/environment.ts";
import { startProgress } from "../../cli/progress.ts";
import { runCommand } from "../../cli/run_command.ts";
import { hostMutants } from "./host.ts";
import { kernelMutants } from "./kernels.ts";
import { MUTATIONS } from "./list.ts";
import { type Mutant, planted } from "./mutant.ts";
import { shaderMutants } from "./operators.ts";
import { SURVIVORS } from "./survivors.ts";
import { copyTree, runTests } from "./tree.ts";

const ROOT = `${import.meta.dirname}/../..`;

/** The share of mutants that must be caught. */
const LEAST = 0.95;

/** What `deno task test:fast` runs, without the command's own tests, which no mutant here is for. */
const FAST = ["engine/", "models/", "lens/"];

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

/** How a mutant ended. */
interface Outcome {
  mutant: Mutant;
  /** `invalid`: made by rule, and no program any more; it does not count. */
  state: "caught" | "survived" | "invalid";
  /** The test files that saw it. */
  by: string;
}

/** Every mutant, those of each list in its order. */
export async function allMutants(): Promise<Mutant[]> {
  const ops = KERNEL_CASES.map(({ op }) => op);
  const architectures = MUTATIONS.map(({ what, file, find, replace, caughtBy }): Mutant => {
    const filter = `/^${caughtBy.replaceAll(".", "\\.")}/`;
    return { what, file, find, replace, tests: [{ files: ["tests/parity_test.ts"], filter }] };
  });
  const names = [...Deno.readDirSync(`${ROOT}/shaders`)].map(({ name }) => name).sort();
  const generated = await Promise.all(names.map(async (name) => {
    const file = `shaders/${name}`;
    return shaderMutants(file, await Deno.readTextFile(`${ROOT}/${file}`), ops);
  }));
  return [...architectures, ...kernelMutants(ops), ...hostMutants(), ...generated.flat()];
}

/** Runs a mutant's own tests, then all fast ones. */
async function judge(
  copy: string,
  mutant: Mutant,
  quick: boolean,
  signal: AbortSignal,
): Promise<Outcome> {
  const path = `${copy}/${mutant.file}`;
  const original = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, planted(original, mutant));
  try {
    const runs = [
      ...mutant.tests,
      ...(quick ? [] : [{ files: FAST }, {
        files: [
          "tests/invariance_test.ts",
          "tests/parity_test.ts",
          "tests/hooks_test.ts",
          "tests/generation_test.ts",
          "tests/embedded_test.ts",
        ],
      }]),
    ];
    for (const { files, filter } of runs) {
      const { passed, output } = await runTests(copy, files, filter, signal);
      signal.throwIfAborted();
      if (passed) continue;
      const broken = /SyntaxError|Cannot compile kernel|is not defined|error: Module not found/
        .test(output);
      if (broken && !mutant.generated) {
        throw new UsageError(
          `Cannot judge "${mutant.what}" (${mutant.file}): it does not compile\n${
            output.slice(-2000)
          }`,
        );
      }
      return { mutant, state: broken ? "invalid" : "caught", by: filter ?? files.join(", ") };
    }
    return { mutant, state: "survived", by: "" };
  } finally {
    await Deno.writeTextFile(path, original);
  }
}

/** What tells a mutant of one state of the sources from all others. */
async function keyOf(mutant: Mutant): Promise<string> {
  const source = await Deno.readTextFile(`${ROOT}/${mutant.file}`);
  const bytes = new TextEncoder().encode(`${mutant.what}\n${planted(source, mutant)}`);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex().slice(0, 16);
}

/** Outcomes of earlier runs, by {@link keyOf}. */
async function keptOutcomes(file: string | undefined): Promise<Map<string, Outcome>> {
  const text = file === undefined ? "" : await Deno.readTextFile(file).catch(() => "");
  const lines = text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  return new Map(lines.map(({ key, ...outcome }) => [key, outcome]));
}

/** `count` of them, the same for one seed. */
function sampleOf<T>(all: readonly T[], count: number, seed: number): T[] {
  const draw = new Draw("normal", seed);
  const left = [...all];
  return Array.from(
    { length: Math.min(count, all.length) },
    () => left.splice(draw.below(left.length), 1)[0],
  );
}

/** Why a survivor is none of the tests' fault, if that is known. */
function reasonOf({ what, file }: Mutant): string | undefined {
  return SURVIVORS.find((entry) => entry.file === file && what.startsWith(entry.what))?.reason;
}

function markdown(outcomes: readonly Outcome[]): string {
  const judged = outcomes.filter(({ state }) => state !== "invalid");
  const survived = judged.filter(({ state }) => state === "survived");
  const caught = judged.length - survived.length;
  const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
  return `<!-- Generated by deno task mutate --out: do not edit. -->

# The mutation gate

${caught} of ${judged.length} bugs are caught (${(100 * caught / judged.length).toFixed(1)} %), ${
    new Date().toISOString().slice(0, 10)
  }. ${outcomes.length - judged.length} more that rules made did not compile and do not count.

## Survivors

| file | bug | reason |
|---|---|---|
${
    survived.map(({ mutant }) =>
      `| ${mutant.file} | ${cell(mutant.what)} | ${reasonOf(mutant) ?? "UNEXPLAINED"} |`
    ).join("\n")
  }

## All

| file | bug | caught by |
|---|---|---|
${
    judged.map(({ mutant, state, by }) =>
      `| ${mutant.file} | ${cell(mutant.what)} | ${state === "caught" ? cell(by) : "survived"} |`
    ).join("\n")
  }
`;
}

if (import.meta.main) {
  await runCommand(async ({ signal }) => {
    const parsed = parseCommand(COMMAND, Deno.args);
    if (parsed.kind === "help") {
      console.log(parsed.text);
      return 0;
    }
    const { flags } = parsed;
    const known = await allMutants();
    const wanted = known.filter(({ file }) => !flags.only || matchesGlob(file, flags.only));
    if (wanted.length === 0) throw new UsageError("Cannot find a bug in these files: see --list");
    const chosen = flags.sample ? sampleOf(wanted, flags.sample, flags.seed) : wanted;
    // All of the list must fit the sources, whatever the sample.
    for (const mutant of known) planted(await Deno.readTextFile(`${ROOT}/${mutant.file}`), mutant);
    if (flags.list) {
      for (const { file, what } of chosen) console.log(`${file}: ${what}`);
      return 0;
    }
    prepareEnvironment();
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
      for (const mutant of chosen) {
        signal.throwIfAborted();
        const key = await keyOf(mutant);
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
    return report(outcomes, flags);
  });
}

async function report(
  outcomes: readonly Outcome[],
  flags: { json: boolean; out?: string },
): Promise<number> {
  const judged = outcomes.filter(({ state }) => state !== "invalid");
  const survivors = judged.filter(({ state }) => state === "survived").map(({ mutant }) => mutant);
  const caught = judged.length - survivors.length;
  const unexplained = survivors.filter((mutant) => reasonOf(mutant) === undefined);
  if (flags.out) await Deno.writeTextFile(flags.out, markdown(outcomes));
  if (flags.json) {
    console.log(JSON.stringify({
      caught,
      judged: judged.length,
      invalid: outcomes.length - judged.length,
      survivors: survivors.map((mutant) => ({
        file: mutant.file,
        what: mutant.what,
        reason: reasonOf(mutant) ?? null,
      })),
    }));
  } else {
    console.log(
      `${caught} of ${judged.length} bugs are caught, ${
        outcomes.length - judged.length
      } more do not compile`,
    );
    for (const mutant of survivors) {
      console.log(
        `  survived: ${mutant.file}: ${mutant.what}\n    ${reasonOf(mutant) ?? "no reason known"}`,
      );
    }
  }
  return caught >= LEAST * judged.length && unexplained.length === 0 ? 0 : 1;
}
