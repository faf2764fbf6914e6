/** What an audit runs: a kernel's op on inputs of some shape and distribution, and what must come out. */

import type { Gpu } from "../gpu/gpu.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import type { Reference } from "../ops/reference.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import type { Data } from "./guarded.ts";
import type { Distribution, Draw } from "./inputs.ts";
import type { StoredDtype } from "./stored.ts";

/** A buffer that an op reads or changes in place, or one of so many words that it fills. */
export type BufferSpec = Data | { words: number };

/** A matrix of weights; the values must be such as the dtype holds, see `stored.ts`. */
export interface MatrixSpec {
  values: Float32Array<ArrayBuffer>;
  rows: number;
  columns: number;
  dtype: StoredDtype;
}

/** What is expected of one buffer that the op writes. */
export interface Expectation {
  /** Words of a row of it; 0 where it has no rows that are independent of each other. */
  rowWords: number;
  /** Words in all, where the op takes the buffer from the pool. */
  words?: number;
  /** Computed only when asked for: references take longer than kernels. */
  reference(): Reference;
  /** The words as numbers; by default each is an f32. */
  decode?(words: Uint32Array<ArrayBuffer>): ArrayLike<number>;
}

/** One run of an op. */
export interface Job {
  buffers: Record<string, BufferSpec>;
  matrices?: Record<string, MatrixSpec>;
  /** Records the op; returns the tensors that it took from the pool for its results. */
  record(
    recorder: Recorder,
    at: Record<string, DeviceTensor>,
    matrices: Record<string, WeightMatrix>,
  ): Record<string, DeviceTensor> | void;
  /** By the names of buffers and of returned tensors; everything that the op writes is here. */
  expect: Record<string, Expectation>;
}

/** Sizes and settings of an op. */
export interface Shape {
  /** As the tables name it: `[9, 100] · [64, 100]ᵀ, bf16`. */
  label: string;
  /** Rows that must not depend on each other; 0 where there are none. */
  rows: number;
  /** Distributions that it is tried on, all by default; large shapes take few. */
  distributions?: readonly Distribution[];
}

/** An op of the engine, as an audit knows it. */
export interface KernelCase<S extends Shape = Shape> {
  /** Its name, that of its main kernel where there is one. */
  op: string;
  /** Whether a device has what it takes; all have, where this is absent. */
  runsOn?(gpu: Gpu): boolean;
  /** The first is small, and what a quick audit takes; the last the largest that a model needs. */
  shapes: readonly S[];
  /** How many of the shapes a quick audit takes (default: 2). */
  quick?: number;
  /** A shape of random sizes, for properties that must hold whatever the shape. */
  random?(draw: Draw): S;
  /** The job on all rows, or on the listed ones in this order. */
  make(shape: S, draw: Draw, rows?: readonly number[]): Job;
}

/** Keeps the shape's type while the cases are defined, and drops it for the list of all. */
export function kernelCase<S extends Shape>(one: KernelCase<S>): KernelCase {
  return one as unknown as KernelCase;
}

/** 0 … `count` − 1. */
export function allRows(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** An output of integers, or of bits that are copied: each word is known. */
export function exactly(rowWords: number, words: () => ArrayLike<number>): Expectation {
  const reference = () => {
    const expected = Float64Array.from(words());
    return { expected, bound: new Float64Array(expected.length) };
  };
  return { rowWords, reference, decode: (found) => found };
}

/** The bits of floats. */
export function bitsOf(values: Float32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}
