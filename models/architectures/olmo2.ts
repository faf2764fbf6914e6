/** OLMo 2 (`Olmo2ForCausalLM`): norms behind the sublayers only, and of q and k across all heads. */

import { z } from "zod";
import type { ModelSpec } from "../../engine/model_spec.ts";
import { parseSchema } from "../../engine/schema.ts";
import { activation, ATTENTION_LINEARS, commonKeys, type Fail, flag, llamaLike } from "./common.ts";
import { layerKeys, uniformAttention } from "./layers.ts";
import { readRope } from "./rope.ts";

const Olmo2Json = z.looseObject({
  ...commonKeys,
  layer_types: layerKeys.layer_types,
  hidden_act: activation,
  attention_bias: flag,
});

const DEFAULTS = { hidden_act: "silu", max_position_embeddings: 2048, rms_norm_eps: 1e-5 };

/** Reads an OLMo 2 config; see `Architecture` in `../config.ts`. Defaults are those of transformers' `Olmo2Config`. */
export function olmo2(json: Record<string, unknown>, fail: Fail): ModelSpec {
  const config = parseSchema(Olmo2Json, { ...DEFAULTS, ...json }, fail);
  const spec = llamaLike(config, fail);
  const rope = readRope(config, { theta: 10_000, headDim: spec.headDim }, fail);
  return {
    ...spec,
    modelType: "olmo2",
    activation: config.hidden_act,
    blockNorms: {
      attentionOut: "post_attention_layernorm",
      mlpOut: "post_feedforward_layernorm",
    },
    qkNorm: "projection",
    biases: config.attention_bias ? ATTENTION_LINEARS : [],
    attention: uniformAttention(config, null, rope, fail),
  };
}
