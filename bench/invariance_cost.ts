/**
 * What does it cost that every sum has one order? `deno task bench:invariance`
 *
 * The engine's kernels against the same with their sums in orders that are free (bench/lab/free), on the same adapter, in the
 * same turns, each answer checked against float64: the time of ours to that of the fastest free order, each the best of its
 * turns. Where sizes of workgroups may be chosen, both sides have the best of them.
 */

import { parseCommand } from "../cli/args.ts";
import { DEVICE_FLAGS } from "../cli/common_flags.ts";
import { runCommand } from "../cli/run_command.ts";
import { UsageError } from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { Clock, medians, type Subject } from "../engine/gpu/measure.ts";
import { type KnobName, KNOBS, Tuning } from "../engine/gpu/tuning.ts";
import { ATTENTION_CASES } from "./kernels/attention.ts";
import type { KernelCase, PreparedCase } from "./kernels/case.ts";
import { matmulCase } from "./kernels/matmul.ts";
import { RMSNORM_CASES } from "./kernels/rmsnorm.ts";
import { FREE_ORDERS } from "./lab/free/orders.ts";
import { PRINT_FLAGS, printRows } from "./print_rows.ts";
import { type Row, row } from "./row.ts";

const CASES: readonly KernelCase[] = [
  matmulCase([512, 512, 512]),
  matmulCase([512, 576, 1536]),
  matmulCase([640, 2048, 2048]),
  ...ATTENTION_CASES,
  ...RMSNORM_CASES.filter(({ name }) => !name.includes("/1x")),
];

/** One order on a device of its own, whose kernels are looked up by name: the engine's host code runs what was put there. */
interface Contestant {
  order: string;
  subject: Subject;
  close(): void;
}

/** Tunings of a knob for every size: each of its choices, or nothing where it has nothing to do with the case. */
function tuningsOf(kernel: string): Tuning[] {
  const knob: KnobName | undefined = kernel === "rmsnorm_vec4" ? "row_block" : undefined;
  if (!knob) return [Tuning.none];
  const classes = [...KNOBS[knob].sizes.width, "max"];
  return KNOBS[knob].choices.map((choice) =>
    new Tuning(Object.fromEntries(classes.map((end) => [`${knob}/${end}`, choice])))
  );
}

async function contest(
  one: KernelCase,
  backend: Gpu["backend"],
  tuning: Tuning,
  freed?: { kernel: string; constants: Record<string, number>; code: string; order: string },
): Promise<Contestant> {
  const gpu = await Gpu.open({ backend, tuning });
  if (freed) gpu.kernels.get(freed.kernel, freed.code, freed.constants);
  const prepared = await one.prepare(gpu);
  const clock = await Clock.of(gpu, prepared.record);
  return {
    order: freed?.order ?? "ours",
    subject: clock.subject(prepared.record),
    close() {
      prepared.release();
      gpu.close();
    },
  };
}

/** The kernel that does a case's sums, as the engine runs it. */
async function kernelOf(gpu: Gpu, one: KernelCase) {
  const prepared: PreparedCase = await one.prepare(gpu);
  const recorder = gpu.record();
  prepared.record(recorder);
  const { kernels } = recorder;
  recorder.close();
  prepared.release();
  return kernels.find(({ name }) => Object.hasOwn(FREE_ORDERS, name)) ?? kernels[0];
}

async function compare(one: KernelCase, gpu: Gpu): Promise<Row> {
  const contestants: Contestant[] = [];
  try {
    const { name } = await kernelOf(gpu, one);
    if (!Object.hasOwn(FREE_ORDERS, name)) {
      const note = `left out: there is no other order of ${name} here`;
      return row(`invariance/${one.name}`, NaN, "×", { note });
    }
    for (const tuning of tuningsOf(name)) {
      gpu.tuning = tuning;
      const kernel = await kernelOf(gpu, one);
      contestants.push(await contest(one, gpu.backend, tuning));
      for (const order of FREE_ORDERS[name]) {
        const code = order.of(kernel.code);
        const constants = { ...kernel.constants };
        const freed = { kernel: name, constants, code, order: order.name };
        contestants.push(await contest(one, gpu.backend, tuning, freed));
      }
    }
    const subjects = contestants.map(({ subject }) => subject);
    // A few percent are at stake: of many short turns those that nothing else disturbed.
    const times = await medians(subjects, { turns: 15, least: 20 }, (all) => Math.min(...all));
    const best = (ours: boolean) =>
      contestants.map(({ order }, i) => ({ order, time: times[i] }))
        .filter(({ order }) => (order === "ours") === ours)
        .toSorted((a, b) => a.time - b.time)[0];
    const [ours, free] = [best(true), best(false)];
    const note = `${name}: ${ours.time.toPrecision(3)} ms to ${
      free.time.toPrecision(3)
    } ms (${free.order})`;
    return row(`invariance/${one.name}`, ours.time / free.time, "×", { aim: "≤ 1.05", note });
  } finally {
    gpu.tuning = Tuning.none;
    for (const one of contestants) one.close();
  }
}

const COMMAND = {
  usage: "deno task bench:invariance",
  summary: "Measures what it costs that every sum has one order.",
  flags: {
    backend: DEVICE_FLAGS.backend,
    only: { kind: "list", placeholder: "NAMES", help: "kernels: matmul, attention, rmsnorm" },
    ...PRINT_FLAGS,
  },
  examples: [
    { command: "deno task bench:invariance", does: "all kernels, two minutes on CPU cores" },
    { command: "deno task bench:invariance --only attention", does: "one of them" },
  ],
} as const;

if (import.meta.main) {
  await runCommand(async ({ signal }) => {
    const parsed = parseCommand(COMMAND, Deno.args);
    if (parsed.kind === "help") return console.log(parsed.text);
    using gpu = await Gpu.open({ backend: parsed.flags.backend });
    const rows: Row[] = [];
    const work = async () => {
      const { only } = parsed.flags;
      const cases = CASES.filter(({ name }) => !only || only.includes(name.split("/")[0]));
      if (cases.length === 0) throw new UsageError(`Cannot measure --only ${only}: no such kernel`);
      for (const one of cases) {
        rows.push(await compare(one, gpu));
        console.error(`${rows.at(-1)!.name}: ${rows.at(-1)!.value.toFixed(3)}`);
      }
    };
    await printRows(gpu, rows, work(), parsed.flags, signal);
  });
}
