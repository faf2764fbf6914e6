/** The same job over and over: one adapter must give one result. */

import type { Gpu } from "../gpu/gpu.ts";
import { DeviceTensor } from "../gpu/tensor.ts";
import type { Job } from "./case.ts";
import { JobBuffers } from "./run_job.ts";

/** Runs recorded into one submit: few waits, and not too many commands at once. */
const TOGETHER = 100;

/**
 * Runs a job so many times and tells how many different results there were. Each run begins with the same inputs, in the
 * same buffers.
 */
export async function repeatJob(gpu: Gpu, job: Job, times: number): Promise<number> {
  const pristine = await JobBuffers.create(gpu, job);
  const working = await JobBuffers.create(gpu, job);
  const different: Uint32Array[] = [];
  try {
    for (let done = 0; done < times; done += TOGETHER) {
      const runs = await together(
        gpu,
        job,
        { pristine, working },
        Math.min(TOGETHER, times - done),
      );
      for (const run of runs) {
        if (!different.some((other) => sameWords(other, run))) different.push(run);
      }
    }
  } finally {
    pristine.destroy();
    working.destroy();
  }
  return different.length;
}

/** The results of some runs, each run's outputs end to end. */
async function together(
  gpu: Gpu,
  job: Job,
  { pristine, working }: { pristine: JobBuffers; working: JobBuffers },
  times: number,
): Promise<Uint32Array[]> {
  const names = Object.keys(job.expect);
  const recorder = gpu.record();
  let kept: DeviceTensor | undefined;
  let words = 0;
  try {
    for (let i = 0; i < times; i++) {
      for (const [name, { buffer, length }] of Object.entries(pristine.at)) {
        recorder.copy(buffer, 0, working.at[name].buffer, 0, 4 * length);
      }
      const pooled = job.record(recorder, working.at, working.matrices) ?? {};
      const outputs = names.map((name) => pooled[name] ?? working.at[name]);
      if (!kept) {
        words = outputs.reduce((sum, tensor) => sum + tensor.length, 0);
        kept = gpu.tensor([times * words]);
      }
      let at = i * words;
      for (const { buffer, length } of outputs) {
        recorder.copy(buffer, 0, kept.buffer, 4 * at, 4 * length);
        at += length;
      }
      for (const tensor of Object.values(pooled)) tensor.release();
    }
    await recorder.submit();
    const [data] = await gpu.read([kept!]);
    return Array.from({ length: times }, (_, i) => new Uint32Array(data, 4 * i * words, words));
  } finally {
    recorder.close();
    kept?.release();
  }
}

/** Whether two arrays have the same words. */
export function sameWords(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i]);
}

/**
 * The same, or another sign of a zero. Adapters that take denormal numbers for 0 keep the sign, and some variants of a kernel add zeros
 * past a row's end where others stop: −0 + 0 is 0.
 */
export function sameButForZeros(a: Uint32Array, b: Uint32Array): boolean {
  const isZero = (word: number) => (word & 0x7fffffff) === 0;
  return a.length === b.length &&
    a.every((word, i) => word === b[i] || isZero(word) && isZero(b[i]));
}
