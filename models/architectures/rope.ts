/** RoPE settings of a `config.json`, in its three spellings. */

import { z } from "zod";
import type { RopeSpec } from "../../engine/model_spec.ts";
import { numberBetween, parseSchema, wholeNumber } from "../../engine/schema.ts";
import { brief } from "../../engine/weights/names.ts";
import type { Fail } from "./common.ts";

/** What a config says of RoPE, its spellings merged. */
export interface RopeSettings {
  /** Base of the wavelengths; undefined when the config leaves it to the architecture. */
  theta: number | undefined;
  /** Share of a head's dimensions that turn. */
  partialRotaryFactor: number;
  /** `rope_type`, by its newest name. */
  kind: string;
  /** The key that holds {@link values}, for messages. */
  place: string;
  values: Record<string, unknown>;
}

/** Where a config keeps its settings; a path is one key here. */
export interface RopeKeys {
  theta: string;
  scaling: string;
  parameters: string;
}

const KEYS: RopeKeys = {
  theta: "rope_theta",
  scaling: "rope_scaling",
  parameters: "rope_parameters",
};

const theta = numberBetween(1, 1e12).nullish();
const partial = numberBetween(0, 1).nullish();
const kind = z.string("expected a text").transform((name) => name === "su" ? "longrope" : name)
  .nullish();
const factor = numberBetween(1, 1e6);
const byLayer = z.undefined("settings by layer are supported in Gemma 3 only").optional();

const Parameters = z.looseObject({
  rope_type: kind,
  type: kind,
  rope_theta: theta,
  partial_rotary_factor: partial,
  full_attention: byLayer,
  sliding_attention: byLayer,
}, "expected an object").nullish();

const LinearJson = z.object({ factor });

const Llama3Json = z.object({
  factor,
  low_freq_factor: numberBetween(1e-6, 1e6),
  high_freq_factor: numberBetween(1e-6, 1e6),
  original_max_position_embeddings: wholeNumber(1, 1 << 24),
});

/** What the kinds read; other keys of a file mean nothing here. */
const SETTINGS = [
  "rope_type",
  "type",
  "rope_theta",
  "partial_rotary_factor",
  "factor",
  "low_freq_factor",
  "high_freq_factor",
  "original_max_position_embeddings",
  "attention_factor",
  "short_factor",
];

/**
 * Merges `rope_theta` and `rope_scaling` (transformers 4; the kind is called `type` in old files) with
 * `rope_parameters`, which holds both (transformers 5). Where two places say different things, that is an error.
 */
export function ropeSettings(
  config: Record<string, unknown>,
  fail: Fail,
  keys: RopeKeys = KEYS,
): RopeSettings {
  const scaling = readAt(config, keys.scaling, Parameters, fail) ?? {};
  const parameters = readAt(config, keys.parameters, Parameters, fail) ?? {};
  for (const key of SETTINGS) {
    const [a, b] = [keys.scaling, keys.parameters].map((place) => `${place}.${key}`);
    agreed(a, scaling[key], b, parameters[key], fail);
  }
  const values = { ...scaling, ...parameters };
  const place = config[keys.parameters] ? keys.parameters : keys.scaling;
  const type = agreed(`${place}.rope_type`, values.rope_type, `${place}.type`, values.type, fail);
  if (type === undefined && ("factor" in values || "short_factor" in values)) {
    throw fail(`has ${place} ${brief(values)} without a rope_type`);
  }
  /** A setting that may also stand outside, under a key of its own. */
  const either = (outside: string, schema: typeof theta, inside: string, value?: number | null) =>
    agreed(outside, readAt(config, outside, schema, fail), `${place}.${inside}`, value, fail);
  return {
    theta: either(keys.theta, theta, "rope_theta", values.rope_theta),
    partialRotaryFactor: either(
      "partial_rotary_factor",
      partial,
      "partial_rotary_factor",
      values.partial_rotary_factor,
    ) ?? 1,
    kind: type ?? "default",
    place,
    values,
  };
}

/** RoPE of an architecture that turns whole heads. */
export function readRope(
  config: Record<string, unknown>,
  defaults: { theta: number; headDim: number },
  fail: Fail,
  keys?: RopeKeys,
): RopeSpec {
  const settings = ropeSettings(config, fail, keys);
  const { partialRotaryFactor } = settings;
  if (partialRotaryFactor !== 1) {
    throw fail(
      `has partial_rotary_factor ${partialRotaryFactor}, only 1 is supported (but for phi3)`,
    );
  }
  return {
    theta: settings.theta ?? defaults.theta,
    rotaryDim: defaults.headDim,
    scaling: readScaling(settings, fail),
  };
}

/**
 * The scaling of the frequencies.
 *
 * @param longrope reads that kind, in an architecture that has it
 */
export function readScaling(
  settings: RopeSettings,
  fail: Fail,
  longrope?: () => RopeSpec["scaling"],
): RopeSpec["scaling"] {
  const { kind, place } = settings;
  switch (kind) {
    case "default":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: readValues(settings, LinearJson, fail).factor };
    case "llama3":
      return llama3(readValues(settings, Llama3Json, fail), place, fail);
  }
  if (kind === "longrope" && longrope) return longrope();
  const supported = `default, linear, llama3${longrope ? ", longrope" : ""}`;
  throw fail(`has ${place}.rope_type ${brief(kind)} (supported: ${supported})`);
}

function llama3(json: z.infer<typeof Llama3Json>, place: string, fail: Fail): RopeSpec["scaling"] {
  const { low_freq_factor: low, high_freq_factor: high } = json;
  if (high <= low) {
    throw fail(`has ${place}.high_freq_factor ${high}, not over its low_freq_factor ${low}`);
  }
  return {
    kind: "llama3",
    factor: json.factor,
    lowFreqFactor: low,
    highFreqFactor: high,
    originalMaxPositions: json.original_max_position_embeddings,
  };
}

/** The settings' values by a schema. */
export function readValues<T>(
  { place, values }: RopeSettings,
  schema: z.ZodType<T>,
  fail: Fail,
): T {
  return readAt({ [place]: values }, place, schema, fail);
}

/** One key's value, parsed where it stands, so that messages name the whole path. */
function readAt<T>(
  json: Record<string, unknown>,
  key: string,
  schema: z.ZodType<T>,
  fail: Fail,
): T {
  return parseSchema(z.object({ [key]: schema }), json, fail)[key];
}

/** The value of two keys that mean the same: of the one that is there, or of both when they are equal. */
export function agreed<T>(
  keyA: string,
  a: T,
  keyB: string,
  b: T,
  fail: Fail,
): NonNullable<T> | undefined {
  const [first, second] = [a ?? undefined, b ?? undefined];
  const both = first !== undefined && second !== undefined;
  if (both && JSON.stringify(first) !== JSON.stringify(second)) {
    throw fail(`has ${keyA} ${brief(a)} and ${keyB} ${brief(b)}, which contradict each other`);
  }
  return first ?? second;
}
