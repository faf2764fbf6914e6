/**
 * Gemma 3: the text models (`Gemma3ForCausalLM`), and the text half of the multimodal ones
 * (`Gemma3ForConditionalGeneration`). Most layers slide, with a RoPE of their own. `attn_logit_softcapping` is not read:
 * Hugging Face's attention does not pass it on.
 */

import { z } from "zod";
import type { ModelSpec, RopeSpec } from "../../engine/model_spec.ts";
import { parseSchema, wholeNumber } from "../../engine/schema.ts";
import { commonKeys, type Fail } from "./common.ts";
import { GEMMA_DEFAULTS, GemmaJson, gemmaLike } from "./gemma.ts";
import { mixedAttention } from "./layers.ts";
import { agreed, readRope } from "./rope.ts";

const pattern = wholeNumber(1, 1 << 10).nullish();

const layer = z.looseObject({}, "expected an object").nullish();

const Gemma3TextJson = GemmaJson.extend({
  sliding_window_pattern: pattern,
  _sliding_window_pattern: pattern,
  rope_parameters: z.strictObject(
    { full_attention: layer, sliding_attention: layer },
    "expected an object with full_attention and sliding_attention",
  ).nullish(),
});

// No null: it would be false in one place and the default in the other.
const tied = z.boolean("expected true or false").optional();

const Gemma3Json = z.looseObject({
  text_config: z.looseObject({
    model_type: z.literal("gemma3_text", 'only "gemma3_text" is supported').nullish(),
    tie_word_embeddings: tied,
  }, "expected an object"),
  tie_word_embeddings: tied,
  quantization_config: commonKeys.quantization_config,
});

/** What the multimodal wrapper has besides the text model. */
const VISION = ["vision_tower", "multi_modal_projector"];

/** Those of transformers' `Gemma3TextConfig`. */
const DEFAULTS = { ...GEMMA_DEFAULTS, vocab_size: 262_208, max_position_embeddings: 131_072 };

/** Reads the config of a text model; see `Architecture` in `../config.ts`. */
export function gemma3Text(json: Record<string, unknown>, fail: Fail): ModelSpec {
  const config = parseSchema(Gemma3TextJson, { ...DEFAULTS, ...json }, fail);
  const spec = gemmaLike(config, fail);
  const { sliding_window_pattern: a, _sliding_window_pattern: b } = config;
  const period = agreed("sliding_window_pattern", a, "_sliding_window_pattern", b, fail) ?? 6;
  const slides = (layer: number) => (layer + 1) % period !== 0;
  const ropes = readRopes(config, spec.headDim, fail);
  return {
    ...spec,
    modelType: "gemma3_text",
    qkNorm: "head",
    attention: mixedAttention(config, slides, ropes, fail),
  };
}

/**
 * Reads the config of a multimodal model, for its text half. A missing key of `text_config` has the text model's
 * default, the sizes too: published files leave out all that is equal to it.
 */
export function gemma3(json: Record<string, unknown>, fail: Fail): ModelSpec {
  const { text_config: text, ...outer } = parseSchema(Gemma3Json, json, fail);
  const key = "tie_word_embeddings";
  const spec = gemma3Text(
    { ...text, [key]: agreed(key, outer[key], `text_config.${key}`, text[key], fail) ?? true },
    (problem) => fail(`in text_config ${problem}`),
  );
  return {
    ...spec,
    modelType: "gemma3",
    // The wrapper has a head of its own, which does not read `final_logit_softcapping`.
    finalSoftcap: null,
    tensors: {
      ...spec.tensors,
      roots: ["language_model.model", "model.language_model", ...spec.tensors.roots],
      heads: [...spec.tensors.heads, "language_model.lm_head.weight"],
      ignored: [...VISION, ...VISION.map((module) => `model.${module}`)],
    },
  };
}

/** Scaling is for the layers that see everything; transformers 5 has `rope_parameters` by layer type. */
function readRopes(
  config: z.infer<typeof Gemma3TextJson>,
  headDim: number,
  fail: Fail,
): { full: RopeSpec; sliding: RopeSpec } {
  const { rope_parameters: byType, rope_local_base_freq, ...rest } = config;
  const [fullKey, slidingKey] = ["full_attention", "sliding_attention"]
    .map((type) => `rope_parameters.${type}`);
  return {
    full: readRope(
      { ...rest, [fullKey]: byType?.full_attention },
      { theta: 1_000_000, headDim },
      fail,
      { theta: "rope_theta", scaling: "rope_scaling", parameters: fullKey },
    ),
    sliding: readRope(
      { rope_local_base_freq, [slidingKey]: byType?.sliding_attention },
      { theta: 10_000, headDim },
      fail,
      { theta: "rope_local_base_freq", scaling: "rope_scaling", parameters: slidingKey },
    ),
  };
}
