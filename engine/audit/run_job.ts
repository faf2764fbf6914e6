/** Runs one job on guarded buffers and brings back what it wrote, with everything that is wrong whatever the numbers are. */

import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { DeviceTensor } from "../gpu/tensor.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import type { BufferSpec, Job } from "./case.ts";
import { input, output, POISON, poisonPool, touchedAt, withGuard } from "./guarded.ts";
import { storedMatrix } from "./stored.ts";

/** What a job did. */
export interface JobRun {
  /** The words of each buffer that the job writes. */
  outputs: Record<string, Uint32Array<ArrayBuffer>>;
  /** What ran. */
  kernels: Kernel[];
  /** Words that were not written, or written outside of a buffer: one line each. */
  faults: string[];
}

/** A job's buffers on the device. */
export class JobBuffers {
  private constructor(
    private readonly gpu: Gpu,
    readonly at: Record<string, DeviceTensor>,
    readonly matrices: Record<string, WeightMatrix>,
    private readonly owned: GPUBuffer[],
  ) {}

  /** Brings them there; outputs are full of poison. */
  static async create(gpu: Gpu, { buffers, matrices = {} }: Job): Promise<JobBuffers> {
    const at: Record<string, DeviceTensor> = {};
    const onDevice: Record<string, WeightMatrix> = {};
    const owned: GPUBuffer[] = [];
    for (const [name, spec] of Object.entries(buffers)) {
      at[name] = place(gpu, spec);
      owned.push(at[name].buffer);
    }
    for (const [name, { values, rows, columns, dtype }] of Object.entries(matrices)) {
      onDevice[name] = await storedMatrix(gpu, values, [rows, columns], dtype, owned);
    }
    return new JobBuffers(gpu, at, onDevice, owned);
  }

  destroy(): void {
    for (const buffer of this.owned) this.gpu.buffers.destroy(buffer);
  }
}

function place(gpu: Gpu, spec: BufferSpec): DeviceTensor {
  return "words" in spec ? output(gpu, [spec.words]) : input(gpu, spec);
}

/**
 * Runs it once.
 *
 * @param crowded with a row of workgroups more than each dispatch needs, as it may have where workgroups are folded into two dimensions
 */
export async function runJob(gpu: Gpu, job: Job, crowded = false): Promise<JobRun> {
  const buffers = await JobBuffers.create(gpu, job);
  // Results that the op takes from the pool are poisoned there; the case tells their size.
  for (const { words } of Object.values(job.expect)) {
    if (words !== undefined) poisonPool(gpu, words, 4);
  }
  let recorder: Recorder | undefined;
  try {
    recorder = gpu.record();
    if (crowded) crowd(recorder);
    const pooled = job.record(recorder, buffers.at, buffers.matrices) ?? {};
    const kernels = recorder.kernels;
    await recorder.submit();
    const run = await readBack(gpu, job, buffers.at, pooled);
    for (const tensor of Object.values(pooled)) tensor.release();
    return { ...run, kernels };
  } finally {
    recorder?.close();
    buffers.destroy();
  }
}

function crowd(recorder: Recorder): void {
  const dispatch = recorder.dispatch.bind(recorder);
  recorder.dispatch = (kernel, buffers, params, [x, y, z]) =>
    dispatch(kernel, buffers, params, [x, y + 1, z]);
}

async function readBack(
  gpu: Gpu,
  job: Job,
  at: Record<string, DeviceTensor>,
  pooled: Record<string, DeviceTensor>,
): Promise<Omit<JobRun, "kernels">> {
  const guarded = Object.entries(at);
  const taken = Object.entries(pooled);
  const whole = ({ buffer }: DeviceTensor) => new DeviceTensor(gpu, buffer, [buffer.size / 4]);
  const data = (await gpu.read([
    ...guarded.map(([, tensor]) => withGuard(tensor)),
    ...taken.map(([, tensor]) => whole(tensor)),
  ])).map((bytes) => new Uint32Array(bytes));
  const outputs: JobRun["outputs"] = {};
  const faults: string[] = [];
  const keep = (name: string, words: Uint32Array<ArrayBuffer>, length: number) => {
    if (!(name in job.expect)) return;
    outputs[name] = words.subarray(0, length);
    const unwritten = outputs[name].indexOf(POISON);
    if (unwritten >= 0) faults.push(`word ${unwritten} of ${length} of "${name}" was not written`);
  };
  guarded.forEach(([name, tensor], i) => {
    const spec = job.buffers[name];
    // After indices lie zeros instead of the guard.
    if (!(spec instanceof Uint32Array)) {
      const touched = touchedAt(data[i], tensor.length);
      if (touched >= 0) faults.push(`"${name}" was written ${touched + 1} words past its end`);
    }
    keep(name, data[i], tensor.length);
  });
  taken.forEach(([name, tensor], i) => {
    const words = data[guarded.length + i];
    const past = words.subarray(tensor.length).findIndex((word) => word !== POISON);
    if (past >= 0) faults.push(`"${name}" was written ${past + 1} words past its end`);
    keep(name, words, tensor.length);
  });
  return { outputs, faults };
}
