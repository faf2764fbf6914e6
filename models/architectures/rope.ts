/** RoPE settings of a `config.json`, in its three spellings. */

import { z } from "zod";
import type { RopeSpec } from "../../engine/model_spec.ts";
import { numberBetween, parseSchema, wholeNumber } from "../../engine/schema.ts";
import { brief } from "../../engine/weights/names.ts";

const theta = numberBetween(1, 1e12).nullish();
const kind = z.string("expected a text").nullish();
const partial = z.literal(1, "only 1 is supported").nullish();
const factor = numberBetween(1, 1e6);

const ScalingJson = z.looseObject(
  { rope_type: kind, type: kind, rope_theta: theta, partial_rotary_factor: partial },
  "expected an object",
).nullish();

const RopeJson = z.looseObject({
  rope_theta: theta,
  partial_rotary_factor: partial,
  rope_scaling: ScalingJson,
  rope_parameters: ScalingJson,
});

const LinearJson = z.object({ factor });

const Llama3Json = z.object({
  factor,
  low_freq_factor: numberBetween(1e-6, 1e6),
  high_freq_factor: numberBetween(1e-6, 1e6),
  original_max_position_embeddings: wholeNumber(1, 1 << 24),
});

type Fail = (problem: string) => Error;

/**
 * Reads `rope_theta` and `rope_scaling` (transformers 4; the kind is called `type` in old files), or both from
 * `rope_parameters` (transformers 5). Where two places say different things, that is an error.
 */
export function readRope(json: unknown, defaultTheta: number, fail: Fail): RopeSpec {
  const config = parseSchema(RopeJson, json, fail);
  const scaling = config.rope_scaling ?? {};
  const parameters = config.rope_parameters ?? {};
  for (const key of Object.keys(scaling)) {
    agreed(`rope_scaling.${key}`, scaling[key], `rope_parameters.${key}`, parameters[key], fail);
  }
  const rope = { ...scaling, ...parameters };
  const place = config.rope_parameters ? "rope_parameters" : "rope_scaling";
  const type = agreed(`${place}.rope_type`, rope.rope_type, `${place}.type`, rope.type, fail);
  return {
    theta: agreed("rope_theta", config.rope_theta, `${place}.rope_theta`, rope.rope_theta, fail) ??
      defaultTheta,
    scaling: readScaling(type ?? "default", rope, place, fail),
  };
}

function readScaling(
  type: string,
  rope: Record<string, unknown>,
  place: string,
  fail: Fail,
): RopeSpec["scaling"] {
  // Parsed where it stands, so that messages name the whole path.
  const read = <T>(schema: z.ZodType<T>): T =>
    parseSchema(z.object({ [place]: schema }), { [place]: rope }, fail)[place];
  switch (type) {
    case "default":
    case "none":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: read(LinearJson).factor };
    case "llama3": {
      const scaling = read(Llama3Json);
      const { low_freq_factor: low, high_freq_factor: high } = scaling;
      if (high <= low) {
        throw fail(`has ${place}.high_freq_factor ${high}, not over its low_freq_factor ${low}`);
      }
      return {
        kind: "llama3",
        factor: scaling.factor,
        lowFreqFactor: low,
        highFreqFactor: high,
        originalMaxPositions: scaling.original_max_position_embeddings,
      };
    }
    default:
      throw fail(`has ${place}.rope_type ${brief(type)} (supported: default, linear, llama3)`);
  }
}

/** The value of two keys that mean the same: of the one that is there, or of both when they are equal. */
function agreed<T>(keyA: string, a: T, keyB: string, b: T, fail: Fail): NonNullable<T> | undefined {
  const [first, second] = [a ?? undefined, b ?? undefined];
  if (first !== undefined && second !== undefined && brief(first) !== brief(second)) {
    throw fail(`has ${keyA} ${brief(a)} and ${keyB} ${brief(b)}, which contradict each other`);
  }
  return first ?? second;
}
