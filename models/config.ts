/** A `config.json` of Hugging Face's as the engine's {@link ModelSpec}, through a registry of architectures. */

import { z } from "zod";
import { ModelError } from "../engine/errors.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import { parseSchema } from "../engine/schema.ts";
import { brief } from "../engine/weights/names.ts";
import type { Fail } from "./architectures/common.ts";
import { gemma2 } from "./architectures/gemma2.ts";
import { gemma3, gemma3Text } from "./architectures/gemma3.ts";
import { llama } from "./architectures/llama.ts";
import { mistral } from "./architectures/mistral.ts";
import { olmo2 } from "./architectures/olmo2.ts";
import { phi3 } from "./architectures/phi3.ts";
import { qwen2 } from "./architectures/qwen2.ts";
import { qwen3 } from "./architectures/qwen3.ts";

/**
 * Reads one architecture's config.
 *
 * @param fail makes the error to throw, given what config.json does wrong, such as `has hidden_size 0, expected …`
 */
export type Architecture = (json: Record<string, unknown>, fail: Fail) => ModelSpec;

/** By `model_type`: a new architecture is a file beside `llama.ts` and a line here. */
const ARCHITECTURES = new Map<string, Architecture>([
  ["llama", llama],
  ["qwen2", qwen2],
  ["qwen3", qwen3],
  ["gemma2", gemma2],
  ["gemma3_text", gemma3Text],
  ["gemma3", gemma3],
  ["mistral", mistral],
  ["olmo2", olmo2],
  ["phi3", phi3],
]);

const ModelType = z.looseObject({ model_type: z.string("expected a text") });

/**
 * What the engine needs to know of a model.
 *
 * @param json the parsed config.json
 * @param where the model's name, for messages
 * @throws {ModelError} if the architecture is not supported, or naming the key that is missing, malformed,
 *   contradictory or not supported
 */
export function parseConfig(json: unknown, where: string): ModelSpec {
  const fail = (problem: string) =>
    new ModelError(`Cannot load model "${where}": config.json ${problem}`);
  const config = parseSchema(ModelType, json, fail);
  const { model_type: modelType } = config;
  const architecture = ARCHITECTURES.get(modelType);
  if (!architecture) {
    const supported = [...ARCHITECTURES.keys()].join(", ");
    throw fail(`has model_type ${brief(modelType)} (supported: ${supported})`);
  }
  return architecture(config, fail);
}
