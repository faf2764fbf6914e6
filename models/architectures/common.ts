/** Keys of `config.json` that the architectures share, with the limits within which a size is believed. */

import { z } from "zod";
import type { BlockLinear, BlockNorms, ModelSpec } from "../../engine/model_spec.ts";
import { numberBetween, wholeNumber } from "../../engine/schema.ts";

/** Makes the error to throw, given what config.json does wrong, such as `has hidden_size 0, expected …`. */
export type Fail = (problem: string) => Error;

/** True, false, or null, which Hugging Face takes as false. */
export const flag = z.boolean("expected true or false").nullish();

/** `hidden_act` and `hidden_activation`, as the engine calls them. */
export const activation = z.enum(
  ["silu", "swish", "gelu_pytorch_tanh"],
  'only "silu" (also called "swish") and "gelu_pytorch_tanh" are supported',
).transform((name) => name === "gelu_pytorch_tanh" ? "gelu_tanh" : "silu");

/**
 * For a zod object. The limits lie an order of magnitude above any published model, and keep what is computed from them
 * (bytes of weights, tables of positions) within exact integers.
 */
export const commonKeys = {
  hidden_size: wholeNumber(1, 1 << 17),
  num_hidden_layers: wholeNumber(1, 1 << 10),
  num_attention_heads: wholeNumber(1, 1 << 12),
  num_key_value_heads: wholeNumber(1, 1 << 12).nullish(),
  head_dim: wholeNumber(1, 1 << 12).nullish(),
  intermediate_size: wholeNumber(1, 1 << 20),
  vocab_size: wholeNumber(1, 1 << 22),
  max_position_embeddings: wholeNumber(1, 1 << 24),
  rms_norm_eps: numberBetween(0, 1),
  tie_word_embeddings: flag,
  is_causal: z.literal(true, "only true is supported").nullish(),
  use_bidirectional_attention: z.literal(false, "only false is supported").nullish(),
  quantization_config: z.null(
    "quantised weights are not supported (use the model in bfloat16, float16 or float32)",
  ).optional(),
};

type CommonConfig = z.infer<z.ZodObject<typeof commonKeys>>;

/** The linear layers that `attention_bias` gives a bias. */
export const ATTENTION_LINEARS = [
  "self_attn.q_proj",
  "self_attn.k_proj",
  "self_attn.v_proj",
  "self_attn.o_proj",
] as const satisfies BlockLinear[];

/** Norms in front of each sublayer; the second one's name tells where it lies, not what it acts on. */
const PRE_NORMS: BlockNorms = {
  attentionIn: "input_layernorm",
  mlpIn: "post_attention_layernorm",
};

/**
 * A spec as Llama has it. What has no common case is missing; for the rest, an architecture overrides what it does
 * otherwise.
 */
export function llamaLike(
  config: CommonConfig,
  fail: Fail,
): Omit<ModelSpec, "modelType" | "activation" | "biases" | "attention"> {
  const { num_attention_heads: heads } = config;
  const kvHeads = config.num_key_value_heads ?? heads;
  if (heads % kvHeads !== 0) {
    throw fail(
      `has num_attention_heads ${heads}, which is not a multiple of num_key_value_heads ${kvHeads}`,
    );
  }
  const headDim = resolveHeadDim(config, fail);
  return {
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    intermediateSize: config.intermediate_size,
    vocabSize: config.vocab_size,
    maxPositions: config.max_position_embeddings,
    normEps: config.rms_norm_eps,
    normOffset: 0,
    blockNorms: PRE_NORMS,
    qkNorm: "none",
    embeddingScale: 1,
    attentionScale: 1 / Math.sqrt(headDim),
    attentionSoftcap: null,
    finalSoftcap: null,
    tiedHead: config.tie_word_embeddings ?? false,
    // Without "model": a checkpoint that was saved from the inner model, as embedding models are.
    tensors: { roots: ["model", ""], heads: ["lm_head.weight"], fused: [] },
  };
}

/** `head_dim`, or the heads' equal share of the hidden size; even, as RoPE turns pairs. */
function resolveHeadDim(config: CommonConfig, fail: Fail): number {
  const { hidden_size: hiddenSize, num_attention_heads: heads } = config;
  const headDim = config.head_dim ?? hiddenSize / heads;
  if (!Number.isInteger(headDim)) {
    throw fail(
      `has hidden_size ${hiddenSize}, which is not a multiple of num_attention_heads ${heads}, and no head_dim`,
    );
  }
  if (headDim % 2 !== 0) throw fail(`has head_dim ${headDim}, but RoPE needs an even one`);
  return headDim;
}
