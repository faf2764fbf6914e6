/** How much of the time is the device at work? */

import type { Gpu } from "../engine/gpu/gpu.ts";
import { GpuTimer } from "../engine/gpu/timer.ts";
import type { BenchContext } from "./context.ts";
import { row } from "./row.ts";

/** Adds the row `name/busy`, where it is wanted and the device's clock can be trusted. `work` has run before, so that nothing compiles. */
export async function benchBusy(
  context: BenchContext,
  name: string,
  work: () => Promise<unknown>,
  aim?: string,
): Promise<void> {
  const { gpu, clock: { timed } } = context;
  if (timed !== "gpu" || !context.wants(`${name}/busy`)) return;
  const { share } = await busyShare(gpu, work);
  const note = "of the wall time the device is at work";
  context.add(row(`${name}/busy`, 100 * share, "%", { timed, aim, note }));
}

/**
 * The share of the wall time in which the device was at work, from 0 to 1, by timestamps around what each recorder dispatches; to be
 * asked only where those can be trusted, see `Clock.of`.
 */
export async function busyShare(
  gpu: Gpu,
  work: () => Promise<unknown>,
): Promise<{ share: number; ms: number }> {
  const timers: GpuTimer[] = [];
  const { record } = gpu;
  gpu.record = () => {
    const recorder = record.call(gpu);
    const timer = GpuTimer.of(gpu);
    if (timer) timers.push(recorder.timer = timer);
    return recorder;
  };
  try {
    const start = performance.now();
    await work();
    const ms = performance.now() - start;
    const took = await Promise.all(timers.map((timer) => timer.read()));
    const busy = took.reduce((sum, nanoseconds) => sum + nanoseconds / 1e6, 0);
    return { share: Math.min(1, busy / ms), ms };
  } finally {
    gpu.record = record;
    for (const timer of timers) timer.destroy();
  }
}
