/** Finds the fastest variant for each class of sizes on a device, none of which may change a bit. */

import { PalimpsestError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { type Clock, type Effort, medians } from "../gpu/measure.ts";
import { type Choices, type KnobName, KNOBS, Tuning } from "../gpu/tuning.ts";
import type { Prepared, Workload } from "./workloads.ts";

/** What was found for one class. */
export interface Trial {
  key: string;
  label: string;
  /** Milliseconds by the op's own rule. */
  rule: number;
  /** Milliseconds of each choice that was worth timing to the end. */
  times: Record<string, number>;
  /** The choice that is so much faster than the rule that it is not chance. */
  chosen?: string;
  /** Choices that cannot be used here, and why. */
  failed: Record<string, string>;
}

/** How to tune. */
export interface TuneOptions {
  clock: Clock;
  effort: Effort;
  /** Told before each workload; `false` ends the tuning with what there is. */
  goOn(done: number, next: Workload): boolean;
}

/** A choice must be faster than the rule by this much. */
const WORTH = 1.05;

/** Choices that take so many times as long as the fastest, at first sight, are not looked at again. */
const HOPELESS = 2;

/** Tries every choice of the workloads, in order; the device's own tuning is as it was afterwards. */
export async function tune(
  gpu: Gpu,
  jobs: readonly Workload[],
  { goOn, ...how }: TuneOptions,
): Promise<Trial[]> {
  const trials: Trial[] = [];
  const before = gpu.tuning;
  try {
    for (const [done, job] of jobs.entries()) {
      if (!goOn(done, job)) break;
      const prepared = await job.prepare(gpu);
      try {
        trials.push(await race(gpu, job, prepared, how));
      } finally {
        prepared.release();
      }
    }
    return trials;
  } finally {
    gpu.tuning = before;
  }
}

/** The choices that are worth keeping. */
export function choicesOf(trials: readonly Trial[]): Choices {
  const chosen = trials.flatMap(({ key, chosen }) => chosen === undefined ? [] : [[key, chosen]]);
  return Object.fromEntries(chosen);
}

/** Of several turns the one that nothing else on the machine disturbed. */
const fastest = (times: readonly number[]) => Math.min(...times);

/** The choices of a knob, without those that would be others on this device, or are made for GPUs. */
function worthTrying({ profile, subgroupSize }: Gpu, knob: KnobName): readonly string[] {
  const { choices } = KNOBS[knob];
  return choices.filter((choice) => {
    if (choice === "subgroups" && subgroupSize === 0) return false;
    return profile !== "software" || !/^(lanes$|subgroups$|block |split )/.test(choice);
  });
}

async function race(
  gpu: Gpu,
  { knob, key, label }: Workload,
  { record, results }: Prepared,
  { clock, effort }: Omit<TuneOptions, "goOn">,
): Promise<Trial> {
  const failed: Trial["failed"] = {};
  const timed = (tuning: Tuning) =>
    clock.subject((recorder) => {
      gpu.tuning = tuning; // recording is synchronous
      record(recorder);
    });
  const words = async () => (await gpu.read(results)).map((bytes) => new Uint32Array(bytes));
  const once = async (tuning: Tuning) => {
    for (const { buffer, length } of results) gpu.write(buffer, new Float32Array(length).fill(NaN));
    const subject = timed(tuning);
    await subject.run(1); // compiles
    return { subject, milliseconds: await subject.run(1), found: await words() };
  };
  const rule = await once(Tuning.none);
  const tried = new Map<string, Awaited<ReturnType<typeof once>>>();
  for (const choice of worthTrying(gpu, knob)) {
    try {
      const one = await once(new Tuning({ [key]: choice }));
      const same = one.found.every((part, i) =>
        part.every((word, at) => word === rule.found[i][at])
      );
      if (same) tried.set(choice, one);
      else failed[choice] = "it gives other bits";
    } catch (error) {
      if (!(error instanceof PalimpsestError)) throw error;
      gpu.check(); // what broke the device ends the tuning
      failed[choice] = error.message;
    }
  }
  const least = Math.min(rule.milliseconds, ...tried.values().map((one) => one.milliseconds));
  const names = [...tried.keys()].filter((choice) =>
    tried.get(choice)!.milliseconds <= HOPELESS * least
  );
  const subjects = [rule.subject, ...names.map((choice) => tried.get(choice)!.subject)];
  const [ruled, ...each] = await medians(subjects, effort, fastest);
  const times = Object.fromEntries(names.map((choice, i) => [choice, each[i]]));
  const trial: Trial = { key, label, rule: ruled, times, failed };
  const best = names.toSorted((a, b) => times[a] - times[b])[0];
  if (best === undefined || ruled <= WORTH * times[best]) return trial;
  // The best of many is the best by chance too: once more, the two alone.
  const again = await medians([rule.subject, tried.get(best)!.subject], effort, fastest);
  return again[0] > WORTH * again[1] ? { ...trial, chosen: best } : trial;
}
