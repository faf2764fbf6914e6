/** Norms, edits and activations in float64, as plainly as they can be written, with the bounds that the shaders state. */

import { flushed, type Reference, TINY, U } from "./reference.ts";
import type { Activation } from "./rows.ts";

function reference(elements: number): Reference {
  return { expected: new Float64Array(elements), bound: new Float64Array(elements) };
}

/** rmsnorm.wgsl; with ADD, what the norm is added to is given as `sum`. */
export function rmsnormReference(
  x: Float32Array,
  weight: Float32Array,
  rows: number,
  width: number,
  eps: number,
  sum?: Float32Array,
): Reference {
  const { expected, bound } = reference(rows * width);
  for (let r = 0; r < rows; r++) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[r * width + i] ** 2;
    const mean = squares / width + eps;
    const rms = Math.sqrt(mean);
    // Squares and sums under the least normal number, relative to the mean.
    const lost = 4 * TINY / mean;
    for (let i = 0; i < width; i++) {
      const at = r * width + i;
      expected[at] = weight[i] * x[at] / rms;
      const relative = ((64 + width / 64) / 2 + 18) * U + lost;
      bound[at] = relative * Math.abs(expected[at]) + TINY +
        Math.abs(weight[i]) * (flushed(x[at]) / rms + TINY) +
        flushed(weight[i]) * Math.abs(x[at]) / rms;
      if (!sum) continue;
      expected[at] += sum[at];
      const added = Math.abs(expected[at]) + bound[at];
      bound[at] += U * added + flushed(sum[at]) + flushed(expected[at]);
    }
  }
  return { expected, bound };
}

/** row_norm.wgsl. */
export function rowNormReference(x: Float32Array, rows: number, width: number): Reference {
  const { expected, bound } = reference(rows);
  for (let r = 0; r < rows; r++) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[r * width + i] ** 2;
    expected[r] = Math.sqrt(squares);
    // Each square, and each sum of them, may be taken for 0.
    const lost = 2 * (width + 64) * TINY;
    const flush = Math.sqrt(squares + lost) - Math.sqrt(Math.max(0, squares - lost));
    bound[r] = ((64 + width / 64) / 2 + 9) * U * expected[r] +
      (lost > U * squares ? flush : 0);
  }
  return { expected, bound };
}

/** What an edit does to a row. */
export interface Entry {
  row: number;
  vector: number;
  coefficient: number;
}

/** edit.wgsl and project.wgsl; rows without an entry stay as they are, bit by bit. */
export function editReference(
  op: "add" | "replace" | "project",
  x: Float32Array,
  vectors: Float32Array,
  entries: readonly Entry[],
  width: number,
): Reference {
  const { bound } = reference(x.length);
  const expected = Float64Array.from(x);
  for (const { row, vector, coefficient } of entries) {
    let dot = 0;
    let size = 0;
    let lost = 2 * (width + 64) * TINY;
    for (let i = 0; i < width; i++) {
      const [a, v] = [x[row * width + i], vectors[vector * width + i]];
      dot += a * v;
      size += Math.abs(a * v);
      lost += flushed(a) * Math.abs(v) + flushed(v) * Math.abs(a);
    }
    const change = op === "project" ? coefficient - dot : coefficient;
    const changeBound = op === "project"
      ? (64 + width / 64) * U * size + U * Math.abs(change) + lost
      : 0;
    for (let i = 0; i < width; i++) {
      const at = row * width + i;
      const v = vectors[vector * width + i];
      expected[at] = change * v + (op === "replace" ? 0 : x[at]);
      bound[at] = changeBound * Math.abs(v) + U * (Math.abs(change * v) + Math.abs(expected[at])) +
        flushed(x[at]) + flushed(v) * Math.abs(change) + flushed(change) * Math.abs(v) + 2 * TINY;
    }
  }
  return { expected, bound };
}

/** project.wgsl in MODE 1; the coefficient of an entry is a row of `others`. */
export function componentReference(
  x: Float32Array,
  vectors: Float32Array,
  others: Float32Array,
  entries: readonly Entry[],
  width: number,
): Reference {
  const { bound } = reference(x.length);
  const expected = Float64Array.from(x);
  for (const { row, vector, coefficient: other } of entries) {
    let dot = 0;
    let size = 0;
    let lost = 2 * (width + 64) * TINY;
    for (let i = 0; i < width; i++) {
      const v = vectors[vector * width + i];
      const difference = others[other * width + i] - x[row * width + i];
      dot += difference * v;
      size += Math.abs(difference * v);
      lost += flushed(v) * Math.abs(difference) + 3 * TINY * Math.abs(v);
    }
    for (let i = 0; i < width; i++) {
      const at = row * width + i;
      const v = vectors[vector * width + i];
      expected[at] = x[at] + dot * v;
      bound[at] = ((65 + width / 64) * U * size + lost) * Math.abs(v) +
        U * (Math.abs(dot * v) + Math.abs(expected[at])) +
        flushed(x[at]) + flushed(v) * Math.abs(dot) + 2 * TINY;
    }
  }
  return { expected, bound };
}

/** glu.wgsl. */
export function gluReference(
  gate: Float32Array | Float64Array,
  up: Float32Array | Float64Array,
  activation: Activation,
): Reference {
  const { expected, bound } = reference(gate.length);
  const [lowest, slack] = activation === "silu" ? [-80, 4] : [-9.7, 8];
  for (let i = 0; i < gate.length; i++) {
    const a = gate[i];
    const t = activation === "silu" ? a : 2 * Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3);
    const e = Math.exp(-t);
    expected[i] = a / (1 + e) * up[i];
    const share = e === Infinity ? 1 : e / (1 + e);
    const relative = (6 + slack * Math.abs(t)) * share + 7;
    bound[i] = a < lowest
      ? 2e-33 * Math.abs(up[i])
      : relative * U * Math.abs(expected[i]) + 2 ** -126 * (1 + Math.abs(up[i]));
  }
  return { expected, bound };
}

/** softcap.wgsl. */
export function softcapReference(x: Float32Array, cap: number): Reference {
  const { expected, bound } = reference(x.length);
  const rounded = Math.fround(cap);
  for (let i = 0; i < x.length; i++) {
    expected[i] = rounded * Math.tanh(x[i] / rounded);
    bound[i] = 19 * U * Math.abs(expected[i]) + 2 ** -126 * (1 + rounded);
  }
  return { expected, bound };
}
