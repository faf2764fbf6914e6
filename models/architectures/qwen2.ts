/** Qwen 2 and 2.5, and the distills of DeepSeek-R1 made of them (`Qwen2ForCausalLM`). */

import { z } from "zod";
import type { LayerAttention, ModelSpec, RopeSpec } from "../../engine/model_spec.ts";
import { parseSchema, wholeNumber } from "../../engine/schema.ts";
import { activation, commonKeys, type Fail, flag, llamaLike } from "./common.ts";
import { layerKeys, layerTypes, mixedAttention } from "./layers.ts";
import { readRope } from "./rope.ts";

/** Keys that Qwen 2 and 3 share. */
export const QwenJson = z.looseObject({
  ...commonKeys,
  ...layerKeys,
  hidden_act: activation,
  use_sliding_window: flag,
  max_window_layers: wholeNumber(0, 1 << 16).nullish(),
});

/** Defaults that transformers' `Qwen2Config` and `Qwen3Config` share. */
export const QWEN_DEFAULTS = {
  num_key_value_heads: 32,
  hidden_act: "silu",
  max_position_embeddings: 32768,
  rms_norm_eps: 1e-6,
  sliding_window: 4096,
};

/** Reads a Qwen 2 config; see `Architecture` in `../config.ts`. */
export function qwen2(json: Record<string, unknown>, fail: Fail): ModelSpec {
  const config = parseSchema(QwenJson, { ...QWEN_DEFAULTS, ...json }, fail);
  const spec = llamaLike(config, fail);
  const rope = readRope(config, { theta: 10_000, headDim: spec.headDim }, fail);
  return {
    ...spec,
    modelType: "qwen2",
    activation: config.hidden_act,
    biases: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    attention: qwenAttention(config, rope, fail),
  };
}

/** Without `use_sliding_window`, `sliding_window` means nothing; with it, the first `max_window_layers` see everything. */
export function qwenAttention(
  config: z.infer<typeof QwenJson>,
  rope: RopeSpec,
  fail: Fail,
): LayerAttention[] {
  const window = config.use_sliding_window ? config.sliding_window ?? null : null;
  const sliding = layerTypes(config, fail)?.indexOf("sliding_attention") ?? -1;
  if (!config.use_sliding_window && sliding >= 0) {
    throw fail(`has layer_types.${sliding} "sliding_attention", but not use_sliding_window`);
  }
  return mixedAttention(
    { ...config, sliding_window: window },
    (layer) => window !== null && layer >= (config.max_window_layers ?? 28),
    { full: rope, sliding: rope },
    fail,
  );
}
