/** Rotary embedding and causal attention in float64, plainly, with the bounds that the shaders state. */

import { type Reference, U } from "../../tests/test_gpu.ts";

/** Sizes of an attention. */
export interface AttentionShape {
  heads: number;
  kvHeads: number;
  headDim: number;
  scale: number;
}

/** attention.wgsl: `q` `[tokens, heads, headDim]`, `k`, `v` `[rows, kvHeads, headDim]`, `info` `[tokens, 4]`. */
export function attentionReference(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  info: Uint32Array,
  { heads, kvHeads, headDim, scale }: AttentionShape,
): Reference {
  const expected = new Float64Array(q.length);
  const bound = new Float64Array(q.length);
  for (let token = 0; token < info.length / 4; token++) {
    const [prefixStart, prefixLength, ownStart, position] = info.slice(4 * token, 4 * token + 4);
    const keys = position + 1;
    const chunks = Math.ceil(keys / 64);
    for (let head = 0; head < heads; head++) {
      const query = (token * heads + head) * headDim;
      const group = Math.floor(head / (heads / kvHeads));
      const places: number[] = [];
      const scores: number[] = [];
      const errors: number[] = [];
      for (let j = 0; j < keys; j++) {
        const row = j < prefixLength ? prefixStart + j : ownStart + j - prefixLength;
        places[j] = (row * kvHeads + group) * headDim;
        scores[j] = 0;
        let size = 0;
        for (let d = 0; d < headDim; d++) {
          const product = Math.fround(scale) * q[query + d] * k[places[j] + d];
          scores[j] += product;
          size += Math.abs(product);
        }
        errors[j] = (64 + Math.ceil(headDim / 64)) * size;
      }
      const top = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - top));
      const total = weights.reduce((a, b) => a + b);
      let totalError = 0;
      for (let j = 0; j < keys; j++) {
        errors[j] += 6 + 7 * chunks + 5 * (top - scores[j]);
        totalError += weights[j] / total * errors[j];
      }
      for (let d = 0; d < headDim; d++) {
        for (let j = 0; j < keys; j++) {
          const term = weights[j] / total * v[places[j] + d];
          expected[query + d] += term;
          const error = (errors[j] + totalError + keys + 2 * chunks + 70) * U;
          bound[query + d] += error * Math.abs(term) + 2 ** -126 * Math.abs(v[places[j] + d]);
        }
      }
    }
  }
  return { expected, bound };
}

/** rope.wgsl with each token in its own row: `x` `[tokens, heads, headDim]`, `tables` `[positions, headDim / 2, 2]`. */
export function ropeReference(
  x: Float32Array,
  tables: Float32Array,
  positions: readonly number[],
  heads: number,
  headDim: number,
): Reference {
  const expected = new Float64Array(x.length);
  const bound = new Float64Array(x.length);
  const half = headDim / 2;
  for (let token = 0; token < positions.length; token++) {
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < half; i++) {
        const at = (token * heads + head) * headDim + i;
        const cos = tables[2 * (positions[token] * half + i)];
        const sin = tables[2 * (positions[token] * half + i) + 1];
        const [low, high] = [x[at], x[at + half]];
        expected[at] = low * cos - high * sin;
        expected[at + half] = high * cos + low * sin;
        bound[at] = 2 * U * (Math.abs(low * cos) + Math.abs(high * sin));
        bound[at + half] = 2 * U * (Math.abs(high * cos) + Math.abs(low * sin));
      }
    }
  }
  return { expected, bound };
}
