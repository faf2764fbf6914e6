/** What the tests of the device share: one device a profile, guarded buffers, seeded inputs and comparisons. */

import { assertEquals } from "@std/assert";
import { touchedAt, withGuard } from "../engine/audit/guarded.ts";
import type { BackendChoice } from "../engine/gpu/backend.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { DeviceProfile } from "../engine/gpu/profile.ts";
import type { Recorder } from "../engine/gpu/recorder.ts";
import type { DeviceTensor } from "../engine/gpu/tensor.ts";
import type { Reference } from "../engine/ops/reference.ts";

export { input, output, poisonPool } from "../engine/audit/guarded.ts";
export { type Reference, U } from "../engine/ops/reference.ts";

/** Where the tests run: PALIMPSEST_BACKEND=dawn has them try the other implementation of WebGPU. */
export const BACKEND = (Deno.env.get("PALIMPSEST_BACKEND") ?? "auto") as BackendChoice;

/** The two that choose other kernels; where shapes of tiles and blocks matter, tests take all of `DEVICE_PROFILES`. Each runs on any adapter. */
export const PROFILES: readonly DeviceProfile[] = ["software", "discrete"];

const opened = new Map<DeviceProfile, Promise<Gpu>>();

/** The device of a profile, shared by the tests of a file. */
export function testGpu(profile: DeviceProfile): Promise<Gpu> {
  let gpu = opened.get(profile);
  if (!gpu) opened.set(profile, gpu = Gpu.open({ profile, backend: BACKEND }));
  return gpu;
}

/** Closes what {@link testGpu} opened; for `Deno.test.afterAll`. */
export async function closeTestGpus(): Promise<void> {
  for (const gpu of opened.values()) (await gpu).close();
  opened.clear();
}

/** Brings tensors of poisoned buffers back, and fails when a kernel wrote past the end of one. */
export async function results(
  gpu: Gpu,
  tensors: readonly DeviceTensor[],
): Promise<Float32Array<ArrayBuffer>[]> {
  const data = await gpu.read(tensors.map(withGuard));
  return data.map((bytes, i) => {
    const { length } = tensors[i];
    const touched = touchedAt(new Uint32Array(bytes), length);
    assertEquals(touched, -1, `tensor ${i} of ${length} elements was written past its end`);
    return new Float32Array(bytes, 0, length);
  });
}

/** Records and submits. */
export async function run<T>(gpu: Gpu, record: (recorder: Recorder) => T): Promise<T> {
  const recorder = gpu.record();
  try {
    const result = record(recorder);
    await recorder.submit();
    return result;
  } finally {
    recorder.close();
  }
}

/** Runs, and brings back the tensors that `record` returns. */
export async function compute(
  gpu: Gpu,
  record: (recorder: Recorder) => readonly DeviceTensor[],
): Promise<Float32Array<ArrayBuffer>[]> {
  return await results(gpu, await run(gpu, record));
}

/** Fails with the element that is furthest outside its bound. */
export function assertWithin(
  actual: ArrayLike<number>,
  { expected, bound }: Reference,
  what = "result",
): void {
  assertEquals(actual.length, expected.length, `${what}: number of elements`);
  let worst = -1;
  let excess = 1;
  for (let i = 0; i < actual.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    const ratio = error === 0 ? 0 : error / bound[i];
    if (!(ratio <= excess)) {
      worst = i;
      excess = Number.isNaN(ratio) ? Infinity : ratio;
    }
  }
  if (worst < 0) return;
  throw new Error(
    `${what}: element ${worst} of ${actual.length} is ${actual[worst]}, expected ` +
      `${expected[worst]} ± ${bound[worst]}: ${excess} times the bound`,
  );
}

/** Fails with the first element whose bits differ. */
export function assertSameBits(
  actual: Float32Array<ArrayBuffer>,
  expected: Float32Array<ArrayBuffer>,
  what = "result",
): void {
  assertEquals(actual.length, expected.length, `${what}: number of elements`);
  const bits = (data: Float32Array<ArrayBuffer>) =>
    new Uint32Array(data.buffer, data.byteOffset, data.length);
  const [a, b] = [bits(actual), bits(expected)];
  const i = a.findIndex((word, at) => word !== b[at]);
  if (i >= 0) throw new Error(`${what}: element ${i} is ${actual[i]}, expected ${expected[i]}`);
}

/** Normally distributed numbers, the same for one seed everywhere (mulberry32, Box and Muller). */
export function normals(seed: number, count: number): Float32Array<ArrayBuffer> {
  const uniform = () => {
    seed = (seed + 0x6d2b79f5) >>> 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

/** The same rows, one column a thousand times as large: what a residual stream looks like. */
export function withOutlier(
  x: Float32Array<ArrayBuffer>,
  width: number,
  column = width >> 1,
): Float32Array<ArrayBuffer> {
  return x.map((value, i) => i % width === column ? 1000 * value : value);
}
