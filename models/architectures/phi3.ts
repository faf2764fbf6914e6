/** Phi-3, Phi-3.5 and Phi-4, the dense text models (`Phi3ForCausalLM`): fused projections, RoPE on part of a head. */

import { z } from "zod";
import type { FusedLinears, ModelSpec } from "../../engine/model_spec.ts";
import { parseSchema } from "../../engine/schema.ts";
import { activation, commonKeys, type Fail, llamaLike } from "./common.ts";
import { layerKeys, uniformAttention } from "./layers.ts";
import { longrope, originalKey, originalPositions } from "./longrope.ts";
import { readScaling, type RopeSettings, ropeSettings } from "./rope.ts";

const Phi3Json = z.looseObject({
  ...commonKeys,
  ...layerKeys,
  original_max_position_embeddings: originalKey,
  hidden_act: activation,
});

const DEFAULTS = { hidden_act: "silu", max_position_embeddings: 4096, rms_norm_eps: 1e-5 };

const FUSED: FusedLinears[] = [
  {
    module: "self_attn.qkv_proj",
    linears: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
  },
  { module: "mlp.gate_up_proj", linears: ["mlp.gate_proj", "mlp.up_proj"] },
];

/** Reads a Phi-3 config; see `Architecture` in `../config.ts`. Defaults are those of transformers' `Phi3Config`. */
export function phi3(json: Record<string, unknown>, fail: Fail): ModelSpec {
  const config = parseSchema(Phi3Json, { ...DEFAULTS, ...json }, fail);
  const spec = llamaLike(config, fail);
  const settings = ropeSettings(config, fail);
  const rotaryDim = resolveRotaryDim(settings, spec.headDim, fail);
  const original = originalPositions(config, settings, fail);
  const stretch = spec.maxPositions / original;
  const scaling = readScaling(
    settings,
    fail,
    () => longrope(settings, { rotaryDim, original, stretch }, fail),
  );
  const rope = { theta: settings.theta ?? 10_000, rotaryDim, scaling };
  // Only the short table is read; `longrope` says why.
  const maxPositions = scaling.kind === "longrope"
    ? Math.min(spec.maxPositions, original)
    : spec.maxPositions;
  return {
    ...spec,
    modelType: "phi3",
    maxPositions,
    activation: config.hidden_act,
    biases: [],
    attention: uniformAttention(config, config.sliding_window ?? null, rope, fail),
    tensors: { ...spec.tensors, fused: FUSED },
  };
}

/** A head's dimensions that turn, rounded down as by Hugging Face. */
function resolveRotaryDim(settings: RopeSettings, headDim: number, fail: Fail): number {
  const rotaryDim = Math.floor(headDim * settings.partialRotaryFactor);
  if (rotaryDim > 0 && rotaryDim % 2 === 0) return rotaryDim;
  throw fail(
    `has partial_rotary_factor ${settings.partialRotaryFactor}, which turns ${rotaryDim} of a head's ${headDim} ` +
      "dimensions, expected an even number of them",
  );
}
