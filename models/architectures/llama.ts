/** Llama 1 to 3, and what else calls itself "llama" (`LlamaForCausalLM`). */

import { z } from "zod";
import type { ModelSpec } from "../../engine/model_spec.ts";
import { parseSchema, wholeNumber } from "../../engine/schema.ts";
import { brief } from "../../engine/weights/names.ts";
import { commonKeys, resolveHeadDim } from "./common.ts";
import { readRope } from "./rope.ts";

const LlamaJson = z.looseObject({
  ...commonKeys,
  num_key_value_heads: wholeNumber(1, 1 << 12).nullish(),
  hidden_act: z.literal("silu", 'only "silu" is supported').nullish(),
  attention_bias: z.literal(false, "only false is supported").nullish(),
  mlp_bias: z.literal(false, "only false is supported").nullish(),
  tie_word_embeddings: z.boolean("expected true or false").nullish(),
});

/** Reads a Llama config; see `Architecture` in `../config.ts`. Defaults are those of transformers' `LlamaConfig`. */
export function llama(json: unknown, fail: (problem: string) => Error): ModelSpec {
  const config = parseSchema(LlamaJson, json, fail);
  const heads = config.num_attention_heads;
  const kvHeads = config.num_key_value_heads ?? heads;
  if (heads % kvHeads !== 0) {
    throw fail(
      `has num_attention_heads ${heads}, which is not a multiple of num_key_value_heads ${kvHeads}`,
    );
  }
  if (config.quantization_config) {
    throw fail(
      `has quantization_config ${brief(config.quantization_config)}: quantised weights are not ` +
        "supported (use the model in bfloat16, float16 or float32)",
    );
  }
  const headDim = resolveHeadDim(config, fail);
  const tiedHead = config.tie_word_embeddings ?? false;
  const embedding = "model.embed_tokens.weight";
  return {
    modelType: "llama",
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    intermediateSize: config.intermediate_size,
    vocabSize: config.vocab_size,
    maxPositions: config.max_position_embeddings ?? 2048,
    normEps: config.rms_norm_eps ?? 1e-6,
    tiedHead,
    rope: readRope(config, 10_000, fail),
    attentionScale: 1 / Math.sqrt(headDim),
    tensors: {
      embedding,
      finalNorm: "model.norm.weight",
      head: tiedHead ? embedding : "lm_head.weight",
      block: (i) => `model.layers.${i}`,
    },
  };
}
