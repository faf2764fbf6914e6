/** Which layers see only a window of the keys before them. */

import { z } from "zod";
import type { LayerAttention, RopeSpec } from "../../engine/model_spec.ts";
import { parseSchema, wholeNumber } from "../../engine/schema.ts";
import type { Fail } from "./common.ts";

/** For a zod object. */
export const layerKeys = {
  sliding_window: wholeNumber(1, 1 << 24).nullish(),
  layer_types: z.array(z.unknown(), "expected a list").nullish(),
};

/** What this file reads of a config. */
interface LayerConfig {
  num_hidden_layers: number;
  sliding_window?: number | null;
  layer_types?: unknown[] | null;
}

const LayerType = z.enum(
  ["full_attention", "sliding_attention"],
  'only "full_attention" and "sliding_attention" are supported',
);

/**
 * Attention by layer, where some layers slide and others do not.
 *
 * @param slides the architecture's own pattern, which explicit `layer_types` override
 * @param ropes of the layers that see everything, and of those that slide
 */
export function mixedAttention(
  config: LayerConfig,
  slides: (layer: number) => boolean,
  ropes: { full: RopeSpec; sliding: RopeSpec },
  fail: Fail,
): LayerAttention[] {
  const window = config.sliding_window ?? null;
  const layers = layerTypes(config, fail)?.map((type) => type === "sliding_attention") ??
    Array.from({ length: config.num_hidden_layers }, (_, layer) => slides(layer));
  if (window === null && layers.includes(true)) {
    throw fail(`has no sliding_window, but layer ${layers.indexOf(true)} slides`);
  }
  return layers.map((sliding) =>
    sliding ? { window, rope: ropes.sliding } : { window: null, rope: ropes.full }
  );
}

/**
 * The same attention in every layer. Hugging Face ignores the `layer_types` of an architecture without a mixture: such a
 * config means another model than would run, so it is refused.
 */
export function uniformAttention(
  config: LayerConfig,
  window: number | null,
  rope: RopeSpec,
  fail: Fail,
): LayerAttention[] {
  const expected = window === null ? "full_attention" : "sliding_attention";
  const types = layerTypes(config, fail) ?? [];
  const other = types.findIndex((type) => type !== expected);
  if (other >= 0) {
    throw fail(
      `has layer_types.${other} "${
        types[other]
      }", but by its model_type and sliding_window every layer has "${expected}"`,
    );
  }
  return Array.from({ length: config.num_hidden_layers }, () => ({ window, rope }));
}

/** `layer_types`, one a layer. The length is checked first, as a list from a file may be of any. */
export function layerTypes(
  config: LayerConfig,
  fail: Fail,
): z.infer<typeof LayerType>[] | undefined {
  const { num_hidden_layers: layers, layer_types: types } = config;
  if (!types) return undefined;
  if (types.length !== layers) {
    throw fail(`has ${types.length} layer_types for num_hidden_layers ${layers}`);
  }
  return parseSchema(z.object({ layer_types: z.array(LayerType) }), config, fail).layer_types;
}
