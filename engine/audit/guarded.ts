/**
 * Buffers that tell what a kernel did: outputs are full of a NaN that no arithmetic makes, and after the end of each buffer
 * lie words that no kernel may take in or change. An index before a buffer's beginning wraps to one past its end, and WebGPU
 * puts what lies outside of a binding into it or drops it, so words after the end see both.
 */

import type { Gpu } from "../gpu/gpu.ts";
import { DeviceTensor } from "../gpu/tensor.ts";

/** Words on the host. */
export type Data = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** A NaN that no arithmetic makes: what is never written still has these bits. */
export const POISON = 0x7fc0dead;

/**
 * What lies after a tensor's end: numbers and NaN by turns. A result that takes them in is spoilt, and a kernel that
 * works on past the end changes some: NaN alone would pass through most arithmetic with its bits unchanged.
 */
export const GUARD: Readonly<Uint32Array> = Uint32Array.from(
  { length: 64 },
  (_, i) => i % 2 ? POISON : 0x4c92dda8,
);

/** A tensor with these values, and the guard after its end; after indices zeros, so that none misses its mark. */
export function input(gpu: Gpu, data: Data, shape: readonly number[] = [data.length]) {
  const tensor = output(gpu, shape);
  gpu.write(tensor.buffer, data instanceof Uint32Array ? withZeros(data) : data);
  return tensor;
}

function withZeros(data: Uint32Array): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(data.length + GUARD.length);
  words.set(data);
  return words;
}

/** A tensor full of NaN, and the guard after its end. */
export function output(gpu: Gpu, shape: readonly number[]): DeviceTensor {
  const elements = shape.reduce((product, size) => product * size, 1);
  const words = new Uint32Array(elements + GUARD.length).fill(POISON);
  words.set(GUARD, elements);
  const buffer = gpu.buffers.create("guarded", words.byteLength);
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

/** A tensor with the words after its end. */
export function withGuard({ gpu, buffer, length }: DeviceTensor): DeviceTensor {
  return new DeviceTensor(gpu, buffer, [length + GUARD.length]);
}

/** The first word after a tensor's end that was changed, or −1. `words` is what {@link withGuard} read. */
export function touchedAt(words: Uint32Array, length: number): number {
  return words.subarray(length, length + GUARD.length).findIndex((word, i) => word !== GUARD[i]);
}
