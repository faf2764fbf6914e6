/**
 * Models on the line between the base's weights and the finetuned model's: is their δ on a line too? Where it is, its direction
 * is there from the start and only grows; where it is not, the finetuning's effect is more than a sum of small steps.
 */

import type { TokenProb } from "./readout.ts";
import { vectorNorm } from "./patchscope.ts";
import { cosine } from "./resample.ts";

/** δ of one model on the line, at one layer and position, beside the finetuned model's. */
export interface InterpolationPoint {
  /** 0 is the base, 1 the finetuned model. */
  strength: number;
  /** ‖δ_s‖. */
  norm: number;
  /** ‖δ_s‖ / ‖δ_1‖; null where the finetuned model has no difference. */
  relative_norm: number | null;
  /** Cosine of δ_s and δ_1. */
  cosine: number;
  /** ‖δ_s − s·δ_1‖ / ‖s·δ_1‖: 0 where δ is linear in the strength; null where s·δ_1 is 0. */
  off_line: number | null;
  /** The logit lens on δ_s. */
  top: TokenProb[];
}

/** Measures δ_s by δ_1. */
export function pointOnLine(
  strength: number,
  at: Float32Array,
  whole: Float32Array,
): Omit<InterpolationPoint, "top"> {
  const full = vectorNorm(whole);
  const norm = vectorNorm(at);
  const expected = strength * full;
  const off = Math.sqrt(at.reduce((sum, value, i) => sum + (value - strength * whole[i]) ** 2, 0));
  return {
    strength,
    norm,
    relative_norm: full === 0 ? null : norm / full,
    cosine: cosine(at, whole),
    off_line: expected === 0 ? null : off / expected,
  };
}
