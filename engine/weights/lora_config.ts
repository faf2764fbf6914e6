/** PEFT's `adapter_config.json` for LoRA: what of it changes a forward pass, and a refusal of what is not implemented. */

import { z } from "zod";
import { ModelError } from "../errors.ts";
import { numberBetween, parseSchema, wholeNumber } from "../schema.ts";
import { modulePattern } from "./module_pattern.ts";
import { brief, quote } from "./names.ts";

/** A LoRA adapter's settings: ΔW = scale · B·A, with the rank and scale of each module. */
export interface AdapterConfig {
  /** The adapter's name, for messages. */
  readonly name: string;
  /** Module names (`q_proj` or longer) that the adapter targets, or `null` when the config gives a pattern or nothing. */
  readonly targetModules: readonly string[] | null;
  /** Whether every module that `targetModules` names must have weights: the config excludes no layer and no module. */
  readonly targetsAllLayers: boolean;
  /** Modules whose whole weight was trained and saved too (`modules_to_save`). */
  readonly savedModules: readonly string[];
  /** Rank r of a module path's adapter. */
  rankOf(module: string): number;
  /** alpha / r, or alpha / √r for rank-stabilised LoRA (arXiv 2312.03732). */
  scaleOf(module: string): number;
}

/** Keys that must be absent, null, false or empty: with any of them the adapter computes something else than B·A·x. */
const UNSUPPORTED_KEYS = [
  "use_dora",
  "fan_in_fan_out",
  "lora_bias",
  "layer_replication",
  "target_parameters",
  "trainable_token_indices",
  "alora_invocation_tokens",
  "use_qalora",
  "use_bdlora",
  "arrow_config",
  "kasa_config",
  "monteclora_config",
];

/** Initialisations that leave the base's weights as they are; PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change them. */
const NEUTRAL_INITIALISATIONS = [true, false, "gaussian", "eva", "orthogonal", "mica"];

/** Patterns with operators that a config may hold; plain names are not limited. */
const MAX_PATTERNS = 64;

const MAX_RANK = 1 << 16;
const rank = wholeNumber(1, MAX_RANK);
const alpha = numberBetween(-1e6, 1e6);

const AdapterJson = z.looseObject({
  peft_type: z.literal("LORA", 'expected "LORA"'),
  r: rank,
  lora_alpha: alpha,
  use_rslora: z.boolean("expected true or false").nullish(),
  rank_pattern: z.record(z.string(), rank, "expected an object").nullish(),
  alpha_pattern: z.record(z.string(), alpha, "expected an object").nullish(),
  target_modules: z.union([z.string(), z.array(z.string())], "expected a list of names or a text")
    .nullish(),
  modules_to_save: z.array(z.string(), "expected a list of names").nullish(),
  bias: z.literal("none", 'only "none" is supported').nullish(),
});

/**
 * Checks an adapter's config.
 *
 * @param json the parsed `adapter_config.json`
 * @param name the adapter's name, for messages
 * @throws {ModelError} naming the key that is malformed or not supported
 */
export function parseAdapterConfig(json: unknown, name: string): AdapterConfig {
  const fail = (problem: string) =>
    new ModelError(`Cannot load LoRA adapter "${name}": adapter_config.json ${problem}`);
  const config = parseSchema(AdapterJson, json, fail);
  for (const key of UNSUPPORTED_KEYS) {
    if (!isOff(config[key])) {
      throw fail(`has ${key} ${brief(config[key])}, which is not supported`);
    }
  }
  const initialisation = config.init_lora_weights ?? true;
  if (!NEUTRAL_INITIALISATIONS.includes(initialisation as string | boolean)) {
    throw fail(
      `has init_lora_weights ${
        brief(initialisation)
      }: the adapter was trained on altered base weights ` +
        "(save it from PEFT as a plain LoRA, with path_initial_model_for_weight_conversion)",
    );
  }
  const ranks = patternLookup(config.rank_pattern ?? {}, "rank_pattern", fail);
  const alphas = patternLookup(config.alpha_pattern ?? {}, "alpha_pattern", fail);
  const rankOf = (module: string) => ranks(module) ?? config.r;
  return {
    name,
    targetModules: Array.isArray(config.target_modules) ? config.target_modules : null,
    targetsAllLayers: isOff(config.layers_to_transform) && isOff(config.exclude_modules),
    savedModules: config.modules_to_save ?? [],
    rankOf,
    scaleOf: (module) => {
      const divisor = config.use_rslora ? Math.sqrt(rankOf(module)) : rankOf(module);
      return (alphas(module) ?? config.lora_alpha) / divisor;
    },
  };
}

/** Absent, null, false or empty. */
function isOff(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === false || value === "";
}

/** Looks a module up among patterns; the first that matches counts, as in PEFT. */
function patternLookup(
  patterns: Record<string, number>,
  key: string,
  fail: (problem: string) => Error,
): (module: string) => number | undefined {
  const withOperators = Object.keys(patterns).filter((pattern) => !/^[\w.-]+$/.test(pattern));
  if (withOperators.length > MAX_PATTERNS) {
    throw fail(`has ${withOperators.length} expressions in ${key}, more than ${MAX_PATTERNS}`);
  }
  const compiled = Object.entries(patterns).map(([pattern, value]) => {
    try {
      return { matches: modulePattern(pattern), value };
    } catch (error) {
      throw fail(
        `has the expression ${quote(pattern)} in ${key}, which ${(error as Error).message}`,
      );
    }
  });
  return (module) => compiled.find(({ matches }) => matches(module))?.value;
}
