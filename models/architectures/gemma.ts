/** What the Gemmas share. */

import { z } from "zod";
import type { ModelSpec } from "../../engine/model_spec.ts";
import { numberBetween } from "../../engine/schema.ts";
import { activation, ATTENTION_LINEARS, commonKeys, type Fail, flag, llamaLike } from "./common.ts";
import { layerKeys } from "./layers.ts";

/** A cap on scores or logits; null is none. */
export const softcap = numberBetween(1e-3, 1e6).nullish();

/** Keys of Gemma 2 and 3. `hidden_act`, which some files have too, is not read by Hugging Face either. */
export const GemmaJson = z.looseObject({
  ...commonKeys,
  ...layerKeys,
  hidden_activation: activation,
  attention_bias: flag,
  query_pre_attn_scalar: numberBetween(1e-3, 1e6),
  final_logit_softcapping: softcap,
});

/** Defaults that transformers' `Gemma2Config` and `Gemma3TextConfig` share. */
export const GEMMA_DEFAULTS = {
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  hidden_activation: "gelu_pytorch_tanh",
  rms_norm_eps: 1e-6,
  tie_word_embeddings: true,
  query_pre_attn_scalar: 256,
  sliding_window: 4096,
};

/** A Gemma's spec but for what its layers see. */
export function gemmaLike(
  config: z.infer<typeof GemmaJson>,
  fail: Fail,
): Omit<ModelSpec, "modelType" | "attention"> {
  return {
    ...llamaLike(config, fail),
    normOffset: 1,
    blockNorms: {
      attentionIn: "input_layernorm",
      attentionOut: "post_attention_layernorm",
      mlpIn: "pre_feedforward_layernorm",
      mlpOut: "post_feedforward_layernorm",
    },
    activation: config.hidden_activation,
    biases: config.attention_bias ? ATTENTION_LINEARS : [],
    embeddingScale: Math.fround(Math.sqrt(config.hidden_size)),
    attentionScale: 1 / Math.sqrt(config.query_pre_attn_scalar),
    finalSoftcap: config.final_logit_softcapping ?? null,
  };
}
