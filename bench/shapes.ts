/** The sizes of models that are measured: config.json of each, for random weights. */

import { UsageError } from "../engine/errors.ts";
import type { RandomConfig } from "./large/random_model.ts";

const LLAMA = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
};

/** Hidden size, feed-forward size, layers, heads, key/value heads, head size, vocabulary. */
function sizes(...size: [number, number, number, number, number, number, number]) {
  return {
    hidden_size: size[0],
    intermediate_size: size[1],
    num_hidden_layers: size[2],
    num_attention_heads: size[3],
    num_key_value_heads: size[4],
    head_dim: size[5],
    vocab_size: size[6],
  };
}

/** Llama's scaling of rotations, as 3.1 and 3.2 have it. */
const ropeScaling = (factor: number) => ({
  rope_type: "llama3",
  factor,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
});

/** By the name under which rows have them. */
export const SHAPES = {
  /** For trying the benches out. */
  tiny: { ...LLAMA, ...sizes(64, 128, 2, 4, 2, 16, 512) },
  /** The embedded base's. */
  "3M": { ...LLAMA, ...sizes(192, 512, 6, 6, 2, 32, 2048) },
  "30M": { ...LLAMA, ...sizes(512, 1536, 8, 8, 4, 64, 8192) },
  /** SmolLM2-135M's. */
  "135M": { ...LLAMA, ...sizes(576, 1536, 30, 9, 3, 64, 49_152), rope_theta: 100_000 },
  /** Llama 3.2 1B's. */
  "1B": {
    ...LLAMA,
    ...sizes(2048, 8192, 16, 32, 8, 64, 128_256),
    max_position_embeddings: 131_072,
    rope_theta: 500_000,
    rope_scaling: ropeScaling(32),
  },
  /** Qwen3-1.7B's. */
  "1.7B": {
    ...LLAMA,
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    ...sizes(2048, 6144, 28, 16, 8, 128, 151_936),
    max_position_embeddings: 40_960,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
  },
  /** Gemma 3 1B's. */
  "Gemma-1B": {
    ...LLAMA,
    architectures: ["Gemma3ForCausalLM"],
    model_type: "gemma3_text",
    ...sizes(1152, 6912, 26, 4, 1, 256, 262_144),
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
    query_pre_attn_scalar: 256,
    sliding_window: 512,
    sliding_window_pattern: 6,
    hidden_activation: "gelu_pytorch_tanh",
  },
  /** Llama 3.1 8B's. */
  "8B": {
    ...LLAMA,
    ...sizes(4096, 14_336, 32, 32, 8, 128, 128_256),
    max_position_embeddings: 131_072,
    rope_theta: 500_000,
    rope_scaling: ropeScaling(8),
    tie_word_embeddings: false,
  },
} satisfies Record<string, RandomConfig>;

/** A name of {@link SHAPES}. */
export type ShapeName = keyof typeof SHAPES;

/** The models of a `--models`. */
export function shapeNames(names: readonly string[]): ShapeName[] {
  const wrong = names.find((name) => !Object.hasOwn(SHAPES, name));
  if (wrong === undefined) return names as ShapeName[];
  throw new UsageError(`Cannot use --models ${wrong}: known are ${Object.keys(SHAPES).join(", ")}`);
}

/** Weights that a token meets in matrix products, the head left out. */
export function blockParameters(config: RandomConfig): number {
  const { hidden_size: hidden, head_dim: head } = config;
  const [heads, keys] = [config.num_attention_heads, config.num_key_value_heads];
  const attention = 2 * hidden * head * (heads + keys);
  return config.num_hidden_layers * (attention + 3 * hidden * config.intermediate_size);
}

/** Weights of the unembedding. */
export function headParameters({ hidden_size, vocab_size }: RandomConfig): number {
  return hidden_size * vocab_size;
}

/**
 * Floating-point operations of a pass over `tokens` from the beginning, with logits of `logits` of them: two a weight and
 * token, and four a head element and pair of query and key.
 */
export function passFlops(config: RandomConfig, tokens: number, logits: number): number {
  const pairs = tokens * (tokens + 1) / 2;
  const width = config.num_attention_heads * config.head_dim;
  return 2 * blockParameters(config) * tokens + 2 * headParameters(config) * logits +
    4 * config.num_hidden_layers * width * pairs;
}
