/** What the tests of the device share: one device a profile, guarded buffers, seeded inputs and comparisons. */

import { assertEquals } from "@std/assert";
import type { BackendChoice } from "../engine/gpu/backend.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { DeviceProfile } from "../engine/gpu/profile.ts";
import type { Recorder } from "../engine/gpu/recorder.ts";
import { DeviceTensor } from "../engine/gpu/tensor.ts";

/** Where the tests run: PALIMPSEST_BACKEND=dawn has them try the other implementation of WebGPU. */
export const BACKEND = (Deno.env.get("PALIMPSEST_BACKEND") ?? "auto") as BackendChoice;

/** Both sets of kernel variants; each runs on any adapter. */
export const PROFILES: readonly DeviceProfile[] = ["software", "gpu"];

/** Unit roundoff of f32. */
export const U = 2 ** -24;

/** What a plain float64 computation gives, and how far each element may be from it. */
export interface Reference {
  expected: Float64Array;
  bound: Float64Array;
}

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

/** A NaN that no arithmetic makes: what is never written still has these bits. */
const POISON = 0x7fc0dead;

/**
 * What lies after a tensor's end: numbers and NaN by turns. A result that takes them in is spoilt, and a kernel that
 * works on past the end changes some: NaN alone would pass through most arithmetic with its bits unchanged.
 */
const GUARD = Uint32Array.from({ length: 64 }, (_, i) => i % 2 ? POISON : 0x4c92dda8);

type Data = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** A tensor with these values, and the guard after its end; after indices zeros, so that none misses its mark. */
export function input(gpu: Gpu, data: Data, shape: readonly number[] = [data.length]) {
  const tensor = output(gpu, shape);
  const indices = data instanceof Uint32Array;
  gpu.write(tensor.buffer, indices ? Uint32Array.from([...data, ...GUARD.map(() => 0)]) : data);
  return tensor;
}

/** A tensor full of NaN, and the guard after its end. */
export function output(gpu: Gpu, shape: readonly number[]): DeviceTensor {
  const elements = shape.reduce((product, size) => product * size, 1);
  const words = new Uint32Array(elements + GUARD.length).fill(POISON);
  words.set(GUARD, elements);
  const buffer = gpu.buffers.create("test", words.byteLength);
  gpu.write(buffer, words);
  return new DeviceTensor(gpu, buffer, shape);
}

/** Fills the buffers that the pool will hand out for tensors of this size with NaN. */
export function poisonPool(gpu: Gpu, elements: number, buffers = 2): void {
  const held = Array.from({ length: buffers }, () => gpu.buffers.acquire(elements * 4));
  for (const buffer of held) {
    gpu.write(buffer, new Uint32Array(buffer.size / 4).fill(POISON));
    gpu.buffers.release(buffer);
  }
}

/** Brings tensors of poisoned buffers back, and fails when a kernel wrote past the end of one. */
export async function results(
  gpu: Gpu,
  tensors: readonly DeviceTensor[],
): Promise<Float32Array<ArrayBuffer>[]> {
  const whole = tensors.map((t) => new DeviceTensor(gpu, t.buffer, [t.length + GUARD.length]));
  const data = await gpu.read(whole);
  return data.map((bytes, i) => {
    const { length } = tensors[i];
    const guard = new Uint32Array(bytes).subarray(length);
    const touched = guard.findIndex((word, at) => word !== GUARD[at]);
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
