/** A `config.json` of Hugging Face's as the engine's {@link ModelSpec}, through a registry of architectures. */

import { z } from "zod";
import { ModelError } from "../engine/errors.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import { parseSchema } from "../engine/schema.ts";
import { brief } from "../engine/weights/names.ts";
import { llama } from "./architectures/llama.ts";

/**
 * Reads one architecture's config.
 *
 * @param fail makes the error to throw, given what config.json does wrong, such as `has hidden_size 0, expected …`
 */
export type Architecture = (json: unknown, fail: (problem: string) => Error) => ModelSpec;

/** By `model_type`: a new architecture is a file beside `llama.ts` and a line here. */
const ARCHITECTURES = new Map<string, Architecture>([
  ["llama", llama],
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
  const { model_type } = parseSchema(ModelType, json, fail);
  const architecture = ARCHITECTURES.get(model_type);
  if (!architecture) {
    const supported = [...ARCHITECTURES.keys()].join(", ");
    throw fail(`has model_type ${brief(model_type)} (supported: ${supported})`);
  }
  return architecture(json, fail);
}
