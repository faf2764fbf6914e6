/** Audits kernels: every case in every shape on every distribution, on each set of variants that the adapter runs. */

import { sha256 } from "./checksum.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/kernel.ts";
import type { Reference } from "../ops/reference.ts";
import { compareBatches } from "./batches.ts";
import type { Job, KernelCase, Shape } from "./case.ts";
import { type Distribution, DISTRIBUTIONS, Draw } from "./inputs.ts";
import { type Errors, measure, together } from "./measure.ts";
import { repeatJob, sameButForZeros, sameWords } from "./repeat.ts";
import { runJob } from "./run_job.ts";

/** One choice of variants: a device of some profile, or with smaller bindings. */
export interface AuditDevice {
  /** As the tables have it: `software`. */
  name: string;
  gpu: Gpu;
  /** The ops for which it differs from the others; all when absent. */
  ops?: readonly string[];
}

/** How thorough an audit is. */
export interface AuditPlan {
  cases: readonly KernelCase[];
  quick: boolean;
  /** Runs of each kernel's smallest shape that must give one result. */
  repeats: number;
  /** Shapes of random sizes for each case. */
  randomShapes: number;
  /** Random batches for each shape whose rows are compared. */
  randomBatches: number;
}

/** What was found of one op on one set of variants. */
export interface KernelResult {
  op: string;
  device: string;
  /** The .wgsl files that ran, in order. */
  kernels: string[];
  runs: number;
  shapes: string[];
  /** By distribution. */
  errors: Partial<Record<Distribution, Errors>>;
  /** The largest share of its bound that an error had, and where: the bound holds while it is 1 at the most. */
  share: number;
  worstIn: string;
  /** Runs of the same, and how many different results they gave. */
  repeats: { runs: number; results: number };
  /** Rows that were compared with themselves in other batches. */
  batchRows: number;
  /** Everything that is wrong; the kernel passes where this is empty. */
  faults: string[];
}

/** All of an audit's kernels. */
export interface KernelAudit {
  results: KernelResult[];
  /** Beginnings of SHA-256 of what came out, by `op | shape | distribution`: the same on every set of variants. */
  checksums: Record<string, string>;
  /** Every specialisation that ran. */
  kernels: Kernel[];
}

/** Told of every run that is done. */
export type AuditProgress = (done: number, note: string) => void;

const SEED = 20261;

/** A shape on a distribution. */
interface Trial {
  one: KernelCase;
  shape: Shape;
  distribution: Distribution;
  seed: number;
  /** Whether repeats and batches are tried on it too. */
  closely: boolean;
}

/** Everything that a plan runs, in order. */
export function trialsOf(plan: AuditPlan): Trial[] {
  return plan.cases.flatMap((one) => {
    const fixed = plan.quick ? one.shapes.slice(0, one.quick ?? 2) : one.shapes;
    const draw = new Draw("normal", SEED);
    const random = Array.from(
      { length: one.random ? plan.randomShapes : 0 },
      () => one.random!(draw),
    );
    return [...fixed, ...random].flatMap((shape, s) => {
      const distributions = shape.distributions ?? DISTRIBUTIONS;
      return distributions.map((distribution, d) => ({
        one,
        shape,
        distribution,
        // A random shape's inputs are the same however many shapes stand before it, so that any two audits compare.
        seed: SEED + 1000 * (s < fixed.length ? s : s - fixed.length + one.shapes.length) + d,
        // Random shapes are for the batches; of the others the small ones will do.
        closely: d === s % distributions.length && (s < 3 || s >= fixed.length),
      }));
    });
  });
}

/** Runs the plan. Throws the signal's reason when it is aborted. */
export async function auditKernels(
  devices: readonly AuditDevice[],
  plan: AuditPlan,
  options: { progress?: AuditProgress; signal?: AbortSignal } = {},
): Promise<KernelAudit> {
  const found = new Map<string, KernelResult>();
  const checksums: Record<string, string> = {};
  const kernels = new Map<string, Kernel>();
  const trials = trialsOf(plan);
  for (const [t, trial] of trials.entries()) {
    options.signal?.throwIfAborted();
    const { one, shape, distribution, seed } = trial;
    options.progress?.(t, one.op);
    const job = one.make(shape, new Draw(distribution, seed));
    const references = Object.entries(job.expect)
      .map(([name, { reference }]) => [name, reference()] as const);
    let first: Record<string, Uint32Array<ArrayBuffer>> | undefined;
    for (const device of devices) {
      if (device.ops && !device.ops.includes(one.op)) continue;
      if (one.runsOn && !one.runsOn(device.gpu)) continue;
      const run = await runJob(device.gpu, job);
      for (const kernel of run.kernels) kernels.set(keyOf(kernel), kernel);
      const result = resultOf(found, one.op, device.name, run.kernels);
      const where = `${shape.label}, ${distribution}`;
      note(result, run.faults, where);
      if (!first) {
        first = run.outputs;
        checksums[`${one.op} | ${shape.label} | ${distribution}`] = await sha256(
          Object.values(first),
          16,
        );
      } else {
        for (const name of Object.keys(first)) {
          const same = distribution === "denormal" ? sameButForZeros : sameWords;
          if (same(first[name], run.outputs[name])) continue;
          note(result, [`"${name}" has other bits than with ${devices[0].name} variants`], where);
        }
      }
      count(result, shape.label);
      for (const [name, reference] of references) {
        judge(result, job, name, run.outputs[name], reference, trial);
      }
      if (trial.closely) await lookClosely(device, trial, plan, job, run.outputs, result);
    }
  }
  return { results: [...found.values()], checksums, kernels: [...kernels.values()] };
}

async function lookClosely(
  { gpu }: AuditDevice,
  { one, shape, distribution, seed }: Trial,
  plan: AuditPlan,
  job: Job,
  outputs: Record<string, Uint32Array>,
  result: KernelResult,
): Promise<void> {
  const where = `${shape.label}, ${distribution}`;
  if (result.repeats.runs < plan.repeats) {
    const times = plan.repeats - result.repeats.runs;
    const different = await repeatJob(gpu, job, times);
    result.repeats = { runs: plan.repeats, results: Math.max(result.repeats.results, different) };
    if (different > 1) note(result, [`${times} runs gave ${different} different results`], where);
  }
  const crowded = await runJob(gpu, job, true);
  note(result, crowded.faults.map((fault) => `${fault}, with workgroups to spare`), where);
  for (const [name, words] of Object.entries(outputs)) {
    if (sameWords(words, crowded.outputs[name])) continue;
    note(result, [`"${name}" has other bits with workgroups to spare`], where);
  }
  if (shape.rows === 0) return;
  const input = { shape, distribution, seed };
  const { compared, faults } = await compareBatches(gpu, one, input, outputs, plan.randomBatches);
  result.batchRows += compared;
  note(result, faults, where);
}

function resultOf(
  found: Map<string, KernelResult>,
  op: string,
  device: string,
  kernels: readonly Kernel[],
): KernelResult {
  const names = [...new Set(kernels.map(({ name }) => name))];
  const key = `${op} ${device} ${names}`;
  let result = found.get(key);
  if (!result) {
    result = {
      op,
      device,
      kernels: names,
      runs: 0,
      shapes: [],
      errors: {},
      share: 0,
      worstIn: "",
      repeats: { runs: 0, results: 0 },
      batchRows: 0,
      faults: [],
    };
    found.set(key, result);
  }
  return result;
}

function count(result: KernelResult, label: string): void {
  result.runs++;
  if (!result.shapes.includes(label)) result.shapes.push(label);
}

function note(result: KernelResult, faults: readonly string[], where: string): void {
  result.faults.push(...faults.map((fault) => `${where}: ${fault}`));
}

function judge(
  result: KernelResult,
  job: Job,
  name: string,
  words: Uint32Array<ArrayBuffer>,
  reference: Reference,
  { shape, distribution }: Trial,
): void {
  const where = `${shape.label}, ${distribution}`;
  const { decode } = job.expect[name];
  const actual = decode
    ? decode(words)
    : new Float32Array(words.buffer, words.byteOffset, words.length);
  if (actual.length !== reference.expected.length) {
    note(
      result,
      [`"${name}" has ${actual.length} values, not ${reference.expected.length}`],
      where,
    );
    return;
  }
  const errors = measure(actual, reference);
  if (errors.share > result.share) [result.share, result.worstIn] = [errors.share, where];
  const before = result.errors[distribution];
  result.errors[distribution] = before ? together(before, errors) : errors;
  if (errors.share <= 1) return;
  const { at, actual: is, expected, bound } = errors.worst!;
  note(result, [`"${name}"[${at}] is ${is}, expected ${expected} ± ${bound}`], where);
}

/** Tells specialisations apart. */
export function keyOf({ name, constants }: Pick<Kernel, "name" | "constants">): string {
  return `${name} ${JSON.stringify(constants)}`;
}
