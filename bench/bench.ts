/** `deno task bench`: one table of how fast the engine is here, beside what this adapter can do. */

import { type Command, type Flags, parseCommand } from "../cli/args.ts";
import { DEVICE_FLAGS, openGpu } from "../cli/common_flags.ts";
import { runCommand } from "../cli/run_command.ts";
import { UsageError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { benchAdapted } from "./adapted.ts";
import { BenchContext } from "./context.ts";
import { benchDecode } from "./decode.ts";
import { benchDiff } from "./diff.ts";
import { benchFast, benchFastProducts } from "./fast.ts";
import { benchHooks } from "./hooks.ts";
import { benchKernels } from "./kernels.ts";
import { copyCase } from "./kernels/ceilings.ts";
import { Clock } from "../engine/gpu/measure.ts";
import { benchPrefill } from "./prefill.ts";
import { PRINT_FLAGS, printRows } from "./print_rows.ts";
import { shapeNames, SHAPES } from "./shapes.ts";
import { benchStart } from "./start.ts";

const COMMAND = {
  usage: "deno task bench",
  summary:
    "Measures kernels, prefill, decoding (under adapters too), diff, hooks and start; every answer is checked before it is timed.",
  flags: {
    backend: DEVICE_FLAGS.backend,
    only: { kind: "list", placeholder: "NAMES", help: "rows to measure; * stands for anything" },
    models: {
      kind: "list",
      default: ["3M", "30M", "135M"],
      help: `sizes of models, with random weights: ${Object.keys(SHAPES).join(", ")}`,
    },
    folder: {
      kind: "string",
      placeholder: "DIR",
      help: "keep the random weights there (default: a temporary folder)",
    },
    quick: { kind: "bool", help: "smaller sizes and fewer turns: to see that it works" },
    ...PRINT_FLAGS,
  },
  examples: [
    { command: "deno task bench", does: "everything, some minutes on CPU cores" },
    {
      command: "deno task bench --only 'matmul*,prefill/3M'",
      does: "matrix products, and a model that reads",
    },
    {
      command: "deno task bench --backend dawn --json > rows.json",
      does: "on the other implementation, for a program",
    },
  ],
} as const satisfies Command<Flags>;

/** What is asked of the adapter and of each model, in the order in which later ones use what earlier ones measured. */
const OF_MODELS = [benchPrefill, benchDecode, benchAdapted, benchStart, benchFast];
const OF_THE_REST = [benchHooks, benchDiff];

/** Runs the command. */
async function bench(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags } = parsed;
  const models = shapeNames(flags.models);
  using gpu = await openGpu({ ...flags, memoryBudget: undefined });
  const folder = flags.folder ?? await Deno.makeTempDir({ prefix: "palimpsest-bench-" });
  try {
    const options = { ...flags, only: flags.only ?? [], models, folder, signal };
    const context = new BenchContext(gpu, await openClock(gpu), options);
    await printRows(gpu, context.rows, askAll(context), flags, signal);
    return 0;
  } finally {
    // What was cut short may still be writing there.
    if (flags.folder === undefined) await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

/** Every question, one after the other. */
async function askAll(context: BenchContext): Promise<void> {
  const { only, models } = context.options;
  await benchKernels(context);
  await benchFastProducts(context);
  for (const name of models) {
    for (const question of OF_MODELS) await question(context, name);
  }
  for (const question of OF_THE_REST) await question(context);
  context.drop();
  if (context.rows.every(({ name }) => name.startsWith("ceiling/"))) {
    throw new UsageError(`Cannot measure --only ${only}: no row has such a name`);
  }
}

/** A clock that was tried on the copy's work. */
async function openClock(gpu: Gpu): Promise<Clock> {
  const trial = await copyCase(32, "kernel").prepare(gpu);
  try {
    return await Clock.of(gpu, (recorder) => {
      for (let i = 0; i < 8; i++) trial.record(recorder);
    });
  } finally {
    trial.release();
  }
}

if (import.meta.main) {
  await runCommand(({ signal }) => bench(Deno.args, signal));
}
