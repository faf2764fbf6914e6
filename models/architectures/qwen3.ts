/** Qwen 3, the dense models (`Qwen3ForCausalLM`). */

import type { ModelSpec } from "../../engine/model_spec.ts";
import { parseSchema } from "../../engine/schema.ts";
import { ATTENTION_LINEARS, type Fail, flag, llamaLike } from "./common.ts";
import { QWEN_DEFAULTS, qwenAttention, QwenJson } from "./qwen2.ts";
import { readRope } from "./rope.ts";

const Qwen3Json = QwenJson.extend({ attention_bias: flag });

/** Reads a Qwen 3 config; see `Architecture` in `../config.ts`. Defaults are those of transformers' `Qwen3Config`. */
export function qwen3(json: Record<string, unknown>, fail: Fail): ModelSpec {
  const config = parseSchema(Qwen3Json, { ...QWEN_DEFAULTS, head_dim: 128, ...json }, fail);
  const spec = llamaLike(config, fail);
  const rope = readRope(config, { theta: 10_000, headDim: spec.headDim }, fail);
  return {
    ...spec,
    modelType: "qwen3",
    activation: config.hidden_act,
    qkNorm: "head",
    biases: config.attention_bias ? ATTENTION_LINEARS : [],
    attention: qwenAttention(config, rope, fail),
  };
}
