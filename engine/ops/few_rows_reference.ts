/** few_rows.wgsl in float64, as plainly as it can be written, with the bound that its header states. */

import type { Form } from "./few_rows.ts";
import { flushed, type Reference, TINY, U } from "./reference.ts";
import { gluReference, rmsnormReference } from "./rows_reference.ts";

/** What goes in; shapes in few_rows.wgsl. */
export interface FewRowsInputs {
  x: Float32Array;
  norm?: { weight: Float32Array; eps: number };
  w: Float32Array;
  bias?: Float32Array;
  /** What `out` holds before, for `add`. */
  before?: Float32Array;
}

/** The steepest that either activation is. */
const STEEPEST = 1.13;

/** What few_rows.wgsl must give, and how far it may be from it. */
export function fewRowsReference(
  { x, norm, w, bias, before }: FewRowsInputs,
  [m, n, k]: readonly [number, number, number],
  form: Form,
): Reference {
  const h = norm ? rmsnormReference(x, norm.weight, m, k, norm.eps) : undefined;
  const expected = new Float64Array(m * n);
  const bound = new Float64Array(m * n);
  const roundings = 64 + Math.ceil(k / 64);
  const gamma = roundings * U / (1 - roundings * U);
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      const at = row * n + column;
      let [size, lost] = [0, (k + roundings) * TINY];
      for (let i = 0; i < k; i++) {
        const [a, b] = [h?.expected[row * k + i] ?? x[row * k + i], w[column * k + i]];
        const off = h?.bound[row * k + i] ?? 0;
        expected[at] += a * b;
        size += (Math.abs(a) + off) * Math.abs(b);
        lost += (flushed(a) + off) * Math.abs(b) + flushed(b) * (Math.abs(a) + off);
      }
      bound[at] = gamma * size + lost;
    }
  }
  if (form === "store" || form === "add") {
    const plus = form === "add" ? before! : bias;
    for (let at = 0; plus && at < m * n; at++) {
      const other = plus[form === "add" ? at : at % n];
      expected[at] += other;
      bound[at] += U * (Math.abs(expected[at]) + bound[at]) + flushed(other) + 2 * TINY;
    }
    return { expected, bound };
  }
  const half = n / 2;
  const side = (all: Float64Array, first: number) =>
    Float64Array.from(
      { length: m * half },
      (_, i) => all[Math.floor(i / half) * n + first + i % half],
    );
  const [gate, up] = [side(expected, 0), side(expected, half)];
  const [gateOff, upOff] = [side(bound, 0), side(bound, half)];
  const out = gluReference(gate, up, form);
  gate.forEach((a, i) => {
    const passed = Math.abs(a) + gateOff[i]; // more than the activation gives
    out.bound[i] += STEEPEST * gateOff[i] * (Math.abs(up[i]) + upOff[i]) + passed * upOff[i];
  });
  return out;
}
