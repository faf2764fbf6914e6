/** `deno task tune`: finds which variant of each kernel is the fastest here, at which size. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import { Clock } from "../engine/gpu/measure.ts";
import { adapterName } from "../engine/gpu/profile.ts";
import { Tuning } from "../engine/gpu/tuning.ts";
import { shaderHashes, type TuningProfile } from "../engine/tuning/profile.ts";
import { choicesOf, type Trial, tune } from "../engine/tuning/tune.ts";
import { type Workload, workloads } from "../engine/tuning/workloads.ts";
import { writeAtomically } from "../lens/results/atomic_file.ts";
import { makeFolder, removeIfThere } from "../lens/results/files.ts";
import { type Command, type Flags, parseCommand, type Values } from "./args.ts";
import { DEVICE_FLAGS, openGpu } from "./common_flags.ts";
import { startProgress } from "./progress.ts";
import type { CommandContext } from "./run_command.ts";
import { formatTable } from "./table.ts";
import { ownTunings, tuningFile } from "./tuning.ts";

const COMMAND = {
  usage: "deno task tune",
  summary:
    "Tries the variants of kernels at several sizes on this adapter, in under two minutes, and keeps the fastest for every later run.\n" +
    "Every variant has to give the same bits, so results never depend on it. Exits with 1 where one does not.",
  flags: {
    backend: DEVICE_FLAGS.backend,
    quick: { kind: "bool", help: "a few sizes, shortly measured: to see that it works" },
    reset: { kind: "bool", help: "forget what was found on this adapter, and measure nothing" },
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "folder for the profile (default: tuning in the user's cache, where runs look for it)",
    },
    json: { kind: "bool", help: "print one JSON object" },
  },
  examples: [
    { command: "deno task tune", does: "once on every machine; the table says what it brings" },
    { command: "deno task tune --backend dawn", does: "for the other implementation of WebGPU" },
    { command: "deno task tune --reset", does: "back to what ships with the program" },
  ],
} as const satisfies Command<Flags>;

/** No workload begins after so many seconds: on slow adapters the rest goes by the ops' own rules. */
const LAST_START = 95;

/** Runs the command. */
export async function tuneCommand(args: string[], { signal }: CommandContext): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags } = parsed;
  using gpu = await openGpu({ ...flags, memoryBudget: undefined });
  const folder = flags.out ?? ownTunings();
  const path = `${folder}/${tuningFile(gpu)}`;
  if (flags.reset) {
    await removeIfThere(path);
    console.log(flags.json ? JSON.stringify({ removed: path }) : `Forgotten: ${path}`);
    return 0;
  }
  const jobs = workloads(gpu, flags.quick);
  const { trials, timed } = await measure(gpu, jobs, flags, signal);
  const profile: TuningProfile = {
    format: 1,
    backend: gpu.backend,
    adapter: adapterName(gpu.adapter),
    date: new Date().toISOString().slice(0, 10),
    shaders: await shaderHashes(),
    choices: { ...choicesOf(trials) },
  };
  await makeFolder(folder);
  const text = JSON.stringify(profile, null, 2) + "\n";
  await writeAtomically(folder, tuningFile(gpu), new TextEncoder().encode(text));
  const left = jobs.slice(trials.length).map(({ key }) => key);
  const wrong = trials.flatMap(({ key, failed }) =>
    Object.entries(failed).map(([choice, why]) => `${key}: ${choice} ${why}`)
  );
  if (flags.json) console.log(JSON.stringify({ ...profile, timed, trials, left, path }));
  else print(profile, trials, timed, left, wrong, path);
  return wrong.some((line) => line.endsWith("other bits")) ? 1 : 0;
}

async function measure(
  gpu: Gpu,
  jobs: readonly Workload[],
  { quick, json }: Values<typeof COMMAND["flags"]>,
  signal: AbortSignal,
): Promise<{ trials: Trial[]; timed: string }> {
  gpu.tuning = Tuning.none;
  const start = performance.now();
  const trial = await jobs[0].prepare(gpu);
  const clock = await Clock.of(gpu, (recorder) => {
    for (let i = 0; i < 4; i++) trial.record(recorder);
  });
  trial.release();
  const bar = startProgress({ label: "Tuning", total: jobs.length, unit: "sizes", quiet: json });
  try {
    const trials = await tune(gpu, jobs, {
      clock,
      effort: quick ? { turns: 1, least: 1 } : { turns: 5, least: 25 },
      goOn(done, { knob, label }) {
        signal.throwIfAborted();
        bar.update(done, `${knob} of ${label}`);
        return performance.now() - start < 1000 * LAST_START;
      },
    });
    return { trials, timed: clock.timed };
  } finally {
    bar.done();
  }
}

function print(
  profile: TuningProfile,
  trials: readonly Trial[],
  timed: string,
  left: readonly string[],
  wrong: readonly string[],
  path: string,
): void {
  const ms = (value: number) => value.toPrecision(3);
  const rows = trials.map(({ key, label, rule, times, chosen }) => [
    key,
    label,
    ms(rule),
    // The fastest first, as a narrow terminal cuts the rest.
    Object.entries(times).sort(([, a], [, b]) => a - b)
      .map(([choice, time]) => `${choice}: ${ms(time)}`).join(", "),
    chosen ?? "as it is",
    chosen === undefined ? "" : `${(rule / times[chosen]).toFixed(2)}×`,
  ]);
  const titles = ["size class", "measured at", "ms now", "ms of each choice", "chosen", "faster"];
  console.log(
    `${profile.adapter}, ${profile.backend}; timed by ${
      timed === "gpu" ? "its own clock" : "the host"
    }\n`,
  );
  console.log(formatTable(titles.map((title) => ({ title })), rows));
  for (const line of wrong) console.log(`Cannot use ${line}`);
  if (left.length > 0) {
    console.log(`No time was left for ${left.join(", ")}: they stay as they are`);
  }
  if (wrong.length === 0) console.log("\nEvery choice gave the same bits");
  console.log(`Profile: ${path}`);
}
