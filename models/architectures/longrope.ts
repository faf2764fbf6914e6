/** LongRoPE (arXiv 2402.13753) as Phi-3's configs have it: one table of factors for short contexts, one for long ones. */

import { z } from "zod";
import type { RopeSpec } from "../../engine/model_spec.ts";
import { numberBetween, wholeNumber } from "../../engine/schema.ts";
import type { Fail } from "./common.ts";
import { agreed, readValues, type RopeSettings } from "./rope.ts";

const limit = numberBetween(1e-6, 1e6);

const LongRopeJson = z.object({
  short_factor: z.array(z.unknown(), "expected a list"),
  factor: limit.nullish(),
  attention_factor: limit.nullish(),
});

const ShortFactors = z.object({ short_factor: z.array(limit) });

/** `original_max_position_embeddings`: not 1, whose logarithm is a divisor below. */
export const originalKey = wholeNumber(2, 1 << 24).nullish();

const OriginalJson = z.object({ original_max_position_embeddings: originalKey });

/** The contexts that the model was first trained with, which files keep in two places; Phi-3's default is 4096. */
export function originalPositions(
  config: { original_max_position_embeddings?: number | null },
  settings: RopeSettings,
  fail: Fail,
): number {
  const key = "original_max_position_embeddings";
  const inside = readValues(settings, OriginalJson, fail)[key];
  return agreed(key, config[key], `${settings.place}.${key}`, inside, fail) ?? 4096;
}

/**
 * Reads the short table, which is for contexts up to the original ones: the model is to be run within them.
 *
 * Hugging Face takes the long table for every token of a batch as soon as one sequence in it is longer than that. A
 * row's numbers would depend on its neighbours, and a prefix's on what is read after it.
 *
 * @param sizes how many of a head's dimensions turn, the original contexts, and the longest over the original ones
 */
export function longrope(
  settings: RopeSettings,
  sizes: { rotaryDim: number; original: number; stretch: number },
  fail: Fail,
): RopeSpec["scaling"] {
  const { place } = settings;
  const { rotaryDim, original, stretch } = sizes;
  const json = readValues(settings, LongRopeJson, fail);
  const pairs = rotaryDim / 2;
  if (json.short_factor.length !== pairs) {
    throw fail(
      `has ${json.short_factor.length} numbers in ${place}.short_factor, expected ${pairs}, one a pair of the ` +
        `${rotaryDim} dimensions that turn`,
    );
  }
  const ratio = "max_position_embeddings / original_max_position_embeddings";
  agreed(ratio, stretch, `${place}.factor`, json.factor, fail);
  const attentionFactor = json.attention_factor ??
    (stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original)));
  const factors = readValues(settings, ShortFactors, fail).short_factor;
  return { kind: "longrope", factors, attentionFactor };
}
