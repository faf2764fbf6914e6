/** Rotary embedding and causal attention in float64, plainly, with the bounds that the shaders state. */

import { flushed, type Reference, TINY, U } from "./reference.ts";

/** Sizes and choices of an attention. */
export interface AttentionShape {
  heads: number;
  kvHeads: number;
  headDim: number;
  scale: number;
  /** Keys that a query sees, itself among them; null sees all before it. */
  window: number | null;
  /** Scores become softcap·tanh(score / softcap); null leaves them. */
  softcap: number | null;
}

/**
 * attention.wgsl: `q` `[tokens, heads, headDim]`, `k`, `v` `[rows, kvHeads, headDim]`, `info` `[tokens, 4]`.
 *
 * @param given the errors that `q` and `k` come with
 */
export function attentionReference(
  q: Float32Array | Float64Array,
  k: Float32Array | Float64Array,
  v: Float32Array | Float64Array,
  info: Uint32Array,
  shape: AttentionShape,
  given?: { q: Float64Array; k: Float64Array },
): Reference {
  const { heads, kvHeads, headDim } = shape;
  const expected = new Float64Array(q.length);
  const bound = new Float64Array(q.length);
  for (let token = 0; token < info.length / 4; token++) {
    const [prefixStart, prefixLength, ownStart, position] = info.slice(4 * token, 4 * token + 4);
    const first = Math.max(0, position + 1 - (shape.window ?? Infinity));
    const keys = position + 1 - first;
    const chunks = Math.floor(position / 64) - Math.floor(first / 64) + 1;
    for (let head = 0; head < heads; head++) {
      const query = (token * heads + head) * headDim;
      const group = Math.floor(head / (heads / kvHeads));
      const places = Array.from({ length: keys }, (_, i) => {
        const j = first + i;
        const row = j < prefixLength ? prefixStart + j : ownStart + j - prefixLength;
        return (row * kvHeads + group) * headDim;
      });
      const scored = places.map((place) => scoreOf(q, query, k, place, shape, given));
      const top = Math.max(...scored.map(({ score }) => score));
      const weights = scored.map(({ score }) => Math.exp(score - top));
      const total = weights.reduce((a, b) => a + b);
      const errors = scored.map(({ score, error }) => error + 6 + 7 * chunks + 5 * (top - score));
      const totalError = errors.reduce((sum, error, j) => sum + weights[j] / total * error, 0);
      for (let d = 0; d < headDim; d++) {
        for (let j = 0; j < keys; j++) {
          const term = weights[j] / total * v[places[j] + d];
          expected[query + d] += term;
          const error = (errors[j] + totalError + keys + 2 * chunks + 70) * U;
          bound[query + d] += error * Math.abs(term) + TINY * Math.abs(v[places[j] + d]) +
            weights[j] / total * flushed(v[places[j] + d]);
        }
        bound[query + d] += (keys + 2 * chunks + 1) * TINY;
      }
    }
  }
  return { expected, bound };
}

/** A score, and its error in units of u. */
function scoreOf(
  q: Float32Array | Float64Array,
  query: number,
  k: Float32Array | Float64Array,
  key: number,
  { headDim, scale, softcap }: AttentionShape,
  given?: { q: Float64Array; k: Float64Array },
): { score: number; error: number } {
  let dot = 0;
  let size = 0;
  let carried = 0;
  for (let d = 0; d < headDim; d++) {
    const product = Math.fround(scale) * q[query + d] * k[key + d];
    dot += product;
    size += Math.abs(product);
    if (!given) continue;
    const [dq, dk] = [given.q[query + d], given.k[key + d]];
    carried += Math.abs(scale) * (dq * (Math.abs(k[key + d]) + dk) + dk * Math.abs(q[query + d]));
  }
  const error = (64 + Math.ceil(headDim / 64)) * size + carried / U;
  if (softcap === null) return { score: dot, error };
  const cap = Math.fround(softcap);
  const bent = Math.tanh(dot / cap);
  return { score: cap * bent, error: (1 - bent ** 2) * error + 20 * Math.abs(cap * bent) };
}

/**
 * rope.wgsl with each token in its own row: `x` `[tokens, heads, headDim]`, `tables` `[positions, rotaryDim / 2, 2]`.
 */
export function ropeReference(
  x: Float32Array | Float64Array,
  tables: Float32Array,
  positions: readonly number[],
  { heads, headDim, rotaryDim }: { heads: number; headDim: number; rotaryDim: number },
): Reference {
  const expected = Float64Array.from(x);
  const bound = new Float64Array(x.length);
  const half = rotaryDim / 2;
  for (let token = 0; token < positions.length; token++) {
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < half; i++) {
        const at = (token * heads + head) * headDim + i;
        const cos = tables[2 * (positions[token] * half + i)];
        const sin = tables[2 * (positions[token] * half + i) + 1];
        const [low, high] = [x[at], x[at + half]];
        expected[at] = low * cos - high * sin;
        expected[at + half] = high * cos + low * sin;
        const lost = flushed(low) + flushed(high) + (Math.abs(low) + Math.abs(high)) * TINY +
          3 * TINY;
        bound[at] = 2 * U * (Math.abs(low * cos) + Math.abs(high * sin)) + lost;
        bound[at + half] = 2 * U * (Math.abs(high * cos) + Math.abs(low * sin)) + lost;
      }
    }
  }
  return { expected, bound };
}
