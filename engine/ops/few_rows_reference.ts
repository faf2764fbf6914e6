/** few_rows.wgsl and its kin in float64, as plainly as it can be written, with the bound that their headers state. */

import { type Form, isGated } from "./few_rows.ts";
import { flushed, type Reference, TINY, U } from "./reference.ts";
import { editReference, gluReference, rmsnormReference } from "./rows_reference.ts";

/** What goes in; shapes in few_rows.wgsl. */
export interface FewRowsInputs {
  x: Float32Array;
  norm?: { weight: Float32Array; eps: number };
  /** What is added to `x` first: through a norm with the same `eps`, or a vector by a coefficient for each row. */
  join?:
    | { kind: "normed"; y: Float32Array; weight: Float32Array }
    | { kind: "vector"; vector: Float32Array; coefficients: Float32Array };
  w: Float32Array;
  bias?: Float32Array;
  /** Adapters' shares of some columns, see many_rows.wgsl. */
  shares?: readonly ShareInputs[];
  /** What `out` holds before, for `add`. */
  before?: Float32Array;
}

/** `scale · B(A h)`, added to `count` columns from `first` on; `a` `[rank, k]`, `b` `[count, rank]`. */
export interface ShareInputs {
  a: Float32Array;
  b: Float32Array;
  scale: number;
  first: number;
  count: number;
}

/** The steepest that either activation is. */
const STEEPEST = 1.13;

/** What few_rows.wgsl must give, and how far it may be from it. */
export function fewRowsReference(
  { x, join, norm, w, bias, shares = [], before }: FewRowsInputs,
  [m, n, k]: readonly [number, number, number],
  form: Form,
): Reference {
  const h = join
    ? normedReference(joinedReference({ x, join, norm }, [m, k]), norm!.weight, [m, k], norm!.eps)
    : norm
    ? rmsnormReference(x, norm.weight, m, k, norm.eps)
    : exact(x);
  const y = product(h, w, [m, n, k]);
  if (bias) { for (let at = 0; at < m * n; at++) plus(y, at, bias[at % n]); }
  for (const share of shares) addShare(y, h, share, [m, n, k]);
  if (form === "add") { for (let at = 0; at < m * n; at++) plus(y, at, before![at]); }
  if (!isGated(form)) return y;
  const half = n / 2;
  const side = (all: Float64Array, first: number) =>
    Float64Array.from(
      { length: m * half },
      (_, i) => all[Math.floor(i / half) * n + first + i % half],
    );
  const [gate, up] = [side(y.expected, 0), side(y.expected, half)];
  const [gateOff, upOff] = [side(y.bound, 0), side(y.bound, half)];
  const out = gluReference(gate, up, form);
  gate.forEach((a, i) => {
    const passed = Math.abs(a) + gateOff[i]; // more than the activation gives
    out.bound[i] += STEEPEST * gateOff[i] * (Math.abs(up[i]) + upOff[i]) + passed * upOff[i];
  });
  return out;
}

/** few_rows.wgsl's second result, `[m, k]`: `x` with what is joined to it. */
export function joinedReference(
  { x, join, norm }: Pick<FewRowsInputs, "x" | "join" | "norm">,
  [m, k]: readonly [number, number],
): Reference {
  if (join!.kind === "normed") return rmsnormReference(join!.y, join!.weight, m, k, norm!.eps, x);
  const { vector, coefficients } = join!;
  const entries = Array.from(
    coefficients,
    (coefficient, row) => ({ row, vector: 0, coefficient }),
  );
  return editReference("add", x, vector, entries, k);
}

/** The entries by which every row gets a vector, as edit.wgsl has them, as f32: other words than coefficients are small. */
export function editEntries(coefficients: Float32Array): Float32Array<ArrayBuffer> {
  const entries = new Float32Array(4 * coefficients.length);
  const words = new Uint32Array(entries.buffer);
  coefficients.forEach((coefficient, row) => {
    words[4 * row] = row;
    entries[4 * row + 2] = coefficient;
  });
  return entries;
}

/** many_rows_norm.wgsl's second result: rmsnorm.wgsl of rows `[m, n]` that are themselves within a bound. */
export function normedReference(
  { expected: x, bound: off }: Reference,
  weight: Float32Array,
  [m, n]: readonly [number, number],
  eps: number,
): Reference {
  const expected = new Float64Array(m * n);
  const bound = new Float64Array(m * n);
  const relative = ((64 + n / 64) / 2 + 18) * U;
  for (let row = 0; row < m; row++) {
    let [squares, offs] = [0, 0];
    for (let at = row * n; at < (row + 1) * n; at++) {
      squares += x[at] ** 2;
      offs += off[at] ** 2;
    }
    const root = Math.sqrt(squares / n + eps);
    // By the triangle inequality the root is as far off as the root of the errors' mean square.
    const rootOff = Math.sqrt(offs / n);
    const least = Math.max(root - rootOff, Math.sqrt(eps));
    const own = relative + 4 * TINY / least ** 2;
    for (let at = row * n; at < (row + 1) * n; at++) {
      const [g, size] = [Math.abs(weight[at % n]), Math.abs(x[at]) + off[at]];
      expected[at] = weight[at % n] * x[at] / root;
      bound[at] = g * (off[at] + Math.abs(x[at]) * rootOff / root + own * size) / least +
        g * (flushed(x[at]) / least + TINY) + flushed(weight[at % n]) * size / least + TINY;
    }
  }
  return { expected, bound };
}

function exact(x: Float32Array): Reference {
  return { expected: Float64Array.from(x), bound: new Float64Array(x.length) };
}

/** `h` `[m, k]`, itself within a bound, by `w` `[n, k]`. */
function product(
  h: Reference,
  w: Float32Array,
  [m, n, k]: readonly [number, number, number],
): Reference {
  const expected = new Float64Array(m * n);
  const bound = new Float64Array(m * n);
  const roundings = 64 + Math.ceil(k / 64);
  const gamma = roundings * U / (1 - roundings * U);
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      const at = row * n + column;
      let [size, lost] = [0, (k + roundings) * TINY];
      for (let i = 0; i < k; i++) {
        const [a, b, off] = [h.expected[row * k + i], w[column * k + i], h.bound[row * k + i]];
        expected[at] += a * b;
        size += (Math.abs(a) + off) * Math.abs(b);
        lost += (flushed(a) + off) * Math.abs(b) + flushed(b) * (Math.abs(a) + off);
      }
      bound[at] = gamma * size + lost;
    }
  }
  return { expected, bound };
}

/** Adds a number that is within `off` of `other`. */
function plus({ expected, bound }: Reference, at: number, other: number, off = 0): void {
  expected[at] += other;
  bound[at] += off;
  bound[at] += U * (Math.abs(expected[at]) + bound[at]) + flushed(other) + 2 * TINY;
}

/** What the adapter makes of `h`, times its scale, with the rounding of that product where `fma` has two. */
function addShare(
  y: Reference,
  h: Reference,
  { a, b, scale, first, count }: ShareInputs,
  [m, n, k]: readonly [number, number, number],
): void {
  const rank = a.length / k;
  const low = product(h, a, [m, rank, k]);
  const { expected, bound } = product(low, b, [m, count, rank]);
  expected.forEach((value, i) => {
    const [share, off] = [scale * value, Math.abs(scale) * (bound[i] + flushed(value))];
    const at = Math.floor(i / count) * n + first + i % count;
    plus(y, at, share, off + U * (Math.abs(share) + off) + TINY);
  });
}
