/** Time: medians of interleaved turns, after a warm-up, by the device's own clock where it can be trusted. */

import type { Gpu } from "./gpu.ts";
import type { Recorder } from "./recorder.ts";
import { GpuTimer } from "./timer.ts";

/** One thing to be timed. */
export interface Subject {
  /** Does it so many times and tells the milliseconds that this took. */
  run(repeats: number): Promise<number>;
}

/** How long to measure. */
export interface Effort {
  turns: number;
  /** Milliseconds that a subject runs in one turn, at least. */
  least: number;
}

/** How many more than one are timed to tell how long one takes. */
const TRIAL = 8;

/** More would only fill the queue. */
const MOST_REPEATS = 2000;

/**
 * Milliseconds that each subject takes: the median over turns, in each of which every subject has its go. So what else
 * happens on the machine falls on all of them, and their ratios mean something.
 *
 * @param of what is kept of a subject's turns, where it is not the median
 */
export async function medians(
  subjects: readonly Subject[],
  { turns, least }: Effort,
  of: (times: readonly number[]) => number = median,
): Promise<number[]> {
  const repeats: number[] = [];
  for (const subject of subjects) {
    await subject.run(1); // compiles and fills caches
    const once = await subject.run(1);
    // Most of a short time may be the wait's, which comes once however much is waited for.
    const each = once < least ? (await subject.run(1 + TRIAL) - once) / TRIAL : once;
    repeats.push(Math.min(MOST_REPEATS, Math.max(1, Math.ceil(least / Math.max(each, 1e-3)))));
  }
  const times: number[][] = subjects.map(() => []);
  for (let turn = 0; turn < turns; turn++) {
    for (const [i, subject] of subjects.entries()) {
      times[i].push(await subject.run(repeats[i]) / repeats[i]);
    }
  }
  return times.map(of);
}

/** The middle one; of an even count the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

/** Times what is submitted to a device. */
export class Clock {
  private constructor(
    readonly gpu: Gpu,
    private readonly timer: GpuTimer | undefined,
    /** `gpu`: by timestamps; `wall`: by the host, from the submit to the end of the wait. */
    readonly timed: "gpu" | "wall",
  ) {}

  /** A clock by the host's time. */
  static byHost(gpu: Gpu): Clock {
    return new Clock(gpu, undefined, "wall");
  }

  /**
   * A clock for a device. Its timestamps are used when they agree with the host's on some work of about `work`'s length:
   * backends differ in their unit and in how finely they tell the time.
   */
  static async of(gpu: Gpu, work: (recorder: Recorder) => void): Promise<Clock> {
    const timer = GpuTimer.of(gpu);
    if (!timer) return new Clock(gpu, undefined, "wall");
    const [byDevice, byHost] = [new Clock(gpu, timer, "gpu"), new Clock(gpu, undefined, "wall")];
    await byDevice.time(work);
    const [device, host] = [await byDevice.time(work), await byHost.time(work)];
    // A wait may last 10 ms longer than the work.
    if (device > 0.5 * (host - 12) && device < 1.5 * host) return byDevice;
    timer.destroy();
    return byHost;
  }

  /** Records and submits, and tells the milliseconds that it took. */
  async time(record: (recorder: Recorder) => void): Promise<number> {
    const recorder = this.gpu.record();
    recorder.timer = this.timer;
    try {
      record(recorder);
      const start = performance.now();
      await recorder.submit();
      if (this.timer) return await this.timer.read() / 1e6;
      await this.gpu.finish();
      return performance.now() - start;
    } finally {
      recorder.close();
    }
  }

  /** The same device by the host's time, for what timestamps do not see: copies. */
  get wall(): Clock {
    return Clock.byHost(this.gpu);
  }

  /** A subject that records the same again and again. */
  subject(record: (recorder: Recorder) => void): Subject {
    return {
      run: (repeats) =>
        this.time((recorder) => {
          for (let i = 0; i < repeats; i++) record(recorder);
        }),
    };
  }
}

/** A subject that is timed by the host, once a repeat. */
export function wallSubject(run: () => Promise<void>): Subject {
  return {
    run: async (repeats) => {
      const start = performance.now();
      for (let i = 0; i < repeats; i++) await run();
      return performance.now() - start;
    },
  };
}
