/** Tables of rotary position embeddings, made in double: devices differ in sin and cos, and badly for large angles. */

import type { RopeSpec } from "./model_spec.ts";

/**
 * Angular frequency of each pair of dimensions, `[rotaryDim / 2]`: `theta^(−2i / rotaryDim)`, then scaled.
 *
 * `linear` divides all by the factor (position interpolation, arXiv 2306.15595). `llama3` keeps the frequencies whose
 * wavelength is short against the original context, divides those whose wavelength is long, and blends between.
 * `longrope` divides each by a factor of its own (arXiv 2402.13753).
 */
export function ropeFrequencies({ theta, rotaryDim, scaling }: RopeSpec): Float64Array {
  return Float64Array.from(
    { length: rotaryDim / 2 },
    (_, i) => scaled(theta ** (-2 * i / rotaryDim), i, scaling),
  );
}

function scaled(frequency: number, i: number, scaling: RopeSpec["scaling"]): number {
  if (scaling.kind === "none") return frequency;
  if (scaling.kind === "longrope") return frequency / scaling.factors[i];
  if (scaling.kind === "linear") return frequency / scaling.factor;
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const turns = originalMaxPositions * frequency / (2 * Math.PI); // within the original context
  if (turns > highFreqFactor) return frequency;
  if (turns < lowFreqFactor) return frequency / factor;
  const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

/**
 * The table that rope.wgsl reads: (cos, sin) for `positions` × `rotaryDim / 2`, f32.
 *
 * The frequencies are rounded to f32 before the angle is taken, as in the reference implementations: they keep
 * `inv_freq` in f32, and at far positions that rounding is what the checkpoint was trained with.
 */
export function ropeTable(rope: RopeSpec, positions: number): Float32Array<ArrayBuffer> {
  const frequencies = ropeFrequencies(rope);
  const size = rope.scaling.kind === "longrope" ? rope.scaling.attentionFactor : 1;
  const half = frequencies.length;
  const table = new Float32Array(positions * half * 2);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * Math.fround(frequencies[i]);
      table[2 * (position * half + i)] = size * Math.cos(angle);
      table[2 * (position * half + i) + 1] = size * Math.sin(angle);
    }
  }
  return table;
}
