/** attention_decode.wgsl in float64: the references of its steps one after the other, with the errors carried along. */

import { attentionReference, ropeReference } from "./attention_reference.ts";
import type { Reference } from "./reference.ts";
import { rmsnormReference } from "./rows_reference.ts";

/** What goes into it besides the sizes; shapes in attention_decode.wgsl. */
export interface DecodeInputs {
  qkv: Float32Array<ArrayBuffer>;
  norms?: { q: Float32Array; k: Float32Array; eps: number };
  tables: Float32Array;
  info: Uint32Array<ArrayBuffer>;
  k: Float32Array<ArrayBuffer>;
  v: Float32Array<ArrayBuffer>;
}

/** Sizes and choices. */
export interface DecodeSizes {
  heads: number;
  kvHeads: number;
  headDim: number;
  rotaryDim: number;
  scale: number;
  window: number | null;
  softcap?: number | null;
}

/** The cache and the heads after it. */
export function attentionDecodeReference(
  { qkv, norms, tables, info, k, v }: DecodeInputs,
  { heads, kvHeads, headDim, rotaryDim, ...score }: DecodeSizes,
): { k: Reference; v: Reference; out: Reference } {
  const tokens = info.length / 4;
  const positions = Array.from({ length: tokens }, (_, t) => info[4 * t + 3]);
  const stride = (heads + 2 * kvHeads) * headDim;
  const columns = (first: number, count: number) => {
    const part = new Float32Array(tokens * count * headDim);
    for (let t = 0; t < tokens; t++) {
      const from = t * stride + first * headDim;
      part.set(qkv.subarray(from, from + count * headDim), t * count * headDim);
    }
    return part;
  };
  const turned = (x: Float32Array, count: number, weight?: Float32Array): Reference => {
    const normed = weight && rmsnormReference(x, weight, tokens * count, headDim, norms!.eps);
    const sizes = { heads: count, headDim, rotaryDim };
    const result = ropeReference(normed?.expected ?? x, tables, positions, sizes);
    if (!normed) return result;
    // The norm's errors turn as the values do; all of them may add up.
    const size = tables.map(Math.abs);
    for (let i = 1; i < size.length; i += 2) size[i] = -size[i];
    const half = ropeReference(normed.bound, size, positions, sizes).expected; // |x·cos| + |y·sin| of a first half
    const other = ropeReference(normed.bound, tables.map(Math.abs), positions, sizes).expected;
    result.bound.forEach((bound, i) => {
      const low = i % headDim < rotaryDim / 2;
      result.bound[i] = bound + 1.001 * (low ? half[i] : other[i]);
    });
    return result;
  };
  const q = turned(columns(0, heads), heads, norms?.q);
  const ownK = turned(columns(heads, kvHeads), kvHeads, norms?.k);
  const ownV = columns(heads + kvHeads, kvHeads);
  const keys = { expected: Float64Array.from(k), bound: new Float64Array(k.length) };
  const values = { expected: Float64Array.from(v), bound: new Float64Array(v.length) };
  const width = kvHeads * headDim;
  for (let t = 0; t < tokens; t++) {
    const [, prefixLength, ownStart, position] = info.subarray(4 * t, 4 * t + 4);
    const row = (ownStart + position - prefixLength) * width;
    const part = [t * width, (t + 1) * width] as const;
    keys.expected.set(ownK.expected.subarray(...part), row);
    keys.bound.set(ownK.bound.subarray(...part), row);
    values.expected.set(ownV.subarray(...part), row);
  }
  const shape = { heads, kvHeads, headDim, ...score, softcap: score.softcap ?? null };
  const errors = { q: q.bound, k: keys.bound };
  const out = attentionReference(q.expected, keys.expected, values.expected, info, shape, errors);
  return { k: keys, v: values, out };
}
