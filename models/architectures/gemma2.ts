/** Gemma 2 (`Gemma2ForCausalLM`): every other layer slides, and scores and logits are capped. */

import type { ModelSpec } from "../../engine/model_spec.ts";
import { parseSchema } from "../../engine/schema.ts";
import type { Fail } from "./common.ts";
import { GEMMA_DEFAULTS, GemmaJson, gemmaLike, softcap } from "./gemma.ts";
import { mixedAttention } from "./layers.ts";
import { readRope } from "./rope.ts";

const Gemma2Json = GemmaJson.extend({ attn_logit_softcapping: softcap });

/** Those of transformers' `Gemma2Config`. */
const DEFAULTS = {
  ...GEMMA_DEFAULTS,
  vocab_size: 256_000,
  max_position_embeddings: 8192,
  final_logit_softcapping: 30,
  attn_logit_softcapping: 50,
};

/** Reads a Gemma 2 config; see `Architecture` in `../config.ts`. */
export function gemma2(json: Record<string, unknown>, fail: Fail): ModelSpec {
  const config = parseSchema(Gemma2Json, { ...DEFAULTS, ...json }, fail);
  const spec = gemmaLike(config, fail);
  const rope = readRope(config, { theta: 10_000, headDim: spec.headDim }, fail);
  const slides = (layer: number) => layer % 2 === 0;
  return {
    ...spec,
    modelType: "gemma2",
    attentionSoftcap: config.attn_logit_softcapping ?? null,
    attention: mixedAttention(config, slides, { full: rope, sliding: rope }, fail),
  };
}
