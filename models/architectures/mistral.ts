/** Mistral 7B and its kin (`MistralForCausalLM`). */

import { z } from "zod";
import type { ModelSpec } from "../../engine/model_spec.ts";
import { parseSchema } from "../../engine/schema.ts";
import { activation, commonKeys, type Fail, llamaLike } from "./common.ts";
import { layerKeys, uniformAttention } from "./layers.ts";
import { readRope } from "./rope.ts";

const MistralJson = z.looseObject({ ...commonKeys, ...layerKeys, hidden_act: activation });

/** Those of transformers' `MistralConfig`: a missing window is one of 4096, and only null is none. */
const DEFAULTS = {
  num_key_value_heads: 8,
  hidden_act: "silu",
  max_position_embeddings: 131_072,
  rms_norm_eps: 1e-6,
  sliding_window: 4096,
};

/** Reads a Mistral config; see `Architecture` in `../config.ts`. */
export function mistral(json: Record<string, unknown>, fail: Fail): ModelSpec {
  const config = parseSchema(MistralJson, { ...DEFAULTS, ...json }, fail);
  const spec = llamaLike(config, fail);
  const rope = readRope(config, { theta: 10_000, headDim: spec.headDim }, fail);
  return {
    ...spec,
    modelType: "mistral",
    activation: config.hidden_act,
    biases: [],
    attention: uniformAttention(config, config.sliding_window ?? null, rope, fail),
  };
}
