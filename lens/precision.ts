/** How far fast mode is from f32, measured on the inputs of the run that uses it. */

import type { Precision } from "../engine/gpu/gpu.ts";
import type { Capture } from "../engine/hooks.ts";
import type { Batch, Transformer } from "../engine/transformer.ts";

/** The most tokens that are run in both. */
const SAMPLE_TOKENS = 512;

/** The most tokens of one sequence. */
const SEQUENCE_TOKENS = 128;

/** What was found. */
export interface PrecisionError {
  /** Where activations were compared. */
  hook: string;
  sequences: number;
  tokens: number;
  /** Of each model: ‖fast − f32‖₂ / ‖f32‖₂ over all rows that were compared. */
  models: Record<string, number>;
  /** Of two models, the same of the difference of their means over these rows; null where it is 0. */
  delta?: number | null;
}

/**
 * Runs the beginning of the first sequences in both precisions. The device must have been opened for fast mode.
 *
 * @param models by name; with two of them, the second minus the first is compared too
 * @param at the hook, at all positions or listed ones
 */
export async function precisionError(
  models: Readonly<Record<string, () => Promise<Transformer>>>,
  sequences: readonly ArrayLike<number>[],
  at: Capture,
): Promise<PrecisionError> {
  const sample = sampleOf(sequences);
  const errors: Record<string, number> = {};
  const means: Record<Precision, Float64Array[]> = { f32: [], fast: [] };
  for (const [name, get] of Object.entries(models)) {
    const model = await get();
    const batch = model.batch(sample);
    const full = await activations(model, batch, at, "f32");
    const fast = await activations(model, batch, at, "fast");
    errors[name] = relative(fast.values, full.values);
    means.f32.push(meanRow(full));
    means.fast.push(meanRow(fast));
  }
  const tokens = sample.reduce((sum, { length }) => sum + length, 0);
  const found = { hook: at.hook, sequences: sample.length, tokens, models: errors };
  if (means.f32.length !== 2) return found;
  const [full, fast] = [means.f32, means.fast].map(([base, tuned]) =>
    tuned.map((value, i) => value - base[i])
  );
  return { ...found, delta: full.some((value) => value !== 0) ? relative(fast, full) : null };
}

function sampleOf(sequences: readonly ArrayLike<number>[]): number[][] {
  const sample: number[][] = [];
  let left = SAMPLE_TOKENS;
  for (const ids of sequences) {
    if (left === 0) break;
    const part = Array.from(ids).slice(0, Math.min(left, SEQUENCE_TOKENS));
    if (part.length > 0) sample.push(part);
    left -= part.length;
  }
  return sample;
}

/** Rows `[·, width]` on the host. */
interface Rows {
  values: Float32Array;
  width: number;
}

async function activations(
  model: Transformer,
  batch: Batch,
  at: Capture,
  precision: Precision,
): Promise<Rows> {
  const pass = model.gpu.inPrecision(precision, () => model.forward(batch, { capture: [at] }));
  const captured = await pass;
  const tensor = captured.get(at.hook);
  const values = await tensor.read();
  captured.release();
  return { values, width: tensor.shape[1] };
}

function relative(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    size += expected[i] ** 2;
  }
  return Math.sqrt(difference / size);
}

function meanRow({ values, width }: Rows): Float64Array {
  const mean = new Float64Array(width);
  const rows = values.length / width;
  values.forEach((value, i) => mean[i % width] += value / rows);
  return mean;
}
