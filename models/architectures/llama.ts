/** Llama 1 to 3, and what else calls itself "llama" (`LlamaForCausalLM`). */

import { z } from "zod";
import type { BlockLinear, ModelSpec } from "../../engine/model_spec.ts";
import { parseSchema } from "../../engine/schema.ts";
import { activation, ATTENTION_LINEARS, commonKeys, type Fail, flag, llamaLike } from "./common.ts";
import { layerKeys, uniformAttention } from "./layers.ts";
import { readRope } from "./rope.ts";

const LlamaJson = z.looseObject({
  ...commonKeys,
  // Not `sliding_window`, which some files carry over from the model they were made of: Llama has none.
  layer_types: layerKeys.layer_types,
  hidden_act: activation,
  attention_bias: flag,
  mlp_bias: flag,
});

const DEFAULTS = { hidden_act: "silu", max_position_embeddings: 2048, rms_norm_eps: 1e-6 };

const MLP_LINEARS: BlockLinear[] = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];

/** Reads a Llama config; see `Architecture` in `../config.ts`. Defaults are those of transformers' `LlamaConfig`. */
export function llama(json: Record<string, unknown>, fail: Fail): ModelSpec {
  const config = parseSchema(LlamaJson, { ...DEFAULTS, ...json }, fail);
  const spec = llamaLike(config, fail);
  const rope = readRope(config, { theta: 10_000, headDim: spec.headDim }, fail);
  return {
    ...spec,
    modelType: "llama",
    activation: config.hidden_act,
    biases: [
      ...(config.attention_bias ? ATTENTION_LINEARS : []),
      ...(config.mlp_bias ? MLP_LINEARS : []),
    ],
    attention: uniformAttention(config, null, rope, fail),
  };
}
