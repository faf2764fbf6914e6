/** What a kernel's bench is made of. */

import type { Gpu } from "../../engine/gpu/gpu.ts";
import type { Recorder } from "../../engine/gpu/recorder.ts";

/** A kernel at one size. */
export interface KernelCase {
  name: string;
  /** What limits it, and so the unit of its row: GFLOP/s against the fma ceiling, or GB/s against the copy's. */
  bound: "fma" | "copy";
  /** Floating-point operations, or bytes that must be moved at least. */
  amount: number;
  /** Makes inputs and outputs on the device, and checks the answer. */
  prepare(gpu: Gpu): Promise<PreparedCase>;
}

/** A kernel with its buffers, whose answer was right. */
export interface PreparedCase {
  record(recorder: Recorder): void;
  /** Against what the answer was checked. */
  checked: string;
  /** Timestamps do not see it. */
  wall?: boolean;
  /** Frees what was made. */
  release(): void;
}

/** Fails a bench: a wrong answer is not timed. */
export function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`Cannot time ${what}: its answer is wrong`);
}

/** Records and submits, for a check. */
export async function once(gpu: Gpu, record: (recorder: Recorder) => void): Promise<void> {
  const recorder = gpu.record();
  try {
    record(recorder);
    await recorder.submit();
  } finally {
    recorder.close();
  }
}
