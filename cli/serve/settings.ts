/** From the fields of a request to one of the engine. */

import type { GenerateRequest } from "../../engine/generation/generate.ts";
import type { Scheduler } from "../../engine/generation/scheduler.ts";
import type { Edit } from "../../engine/hooks.ts";
import { stopAt } from "../stop_strings.ts";
import { ApiError } from "./api_error.ts";
import type { Settings } from "./schemas.ts";
import type { ServedModel } from "./served_models.ts";

/** Sequences of one request: every prompt `n` times, one after another. */
export interface Generation extends GenerateRequest {
  /** Texts that end a sequence. */
  stops: readonly string[];
}

/** What the fields do not say. */
export interface GenerationContext {
  model: ServedModel;
  scheduler: Scheduler;
  prompts: readonly (readonly number[])[];
  stopIds: ReadonlySet<number>;
  /** The most tokens, where the request says. */
  maxTokens: number | undefined;
  /** The most tokens where it does not. */
  defaultTokens: number;
  logprobs: number | undefined;
}

/**
 * The engine's request for these fields. More tokens than the context and the memory for keys have room for are not an
 * error: a sequence then ends with `length`.
 *
 * @throws {ApiError} 400 for a field that is not supported, a prompt that does not fit, or an edit that does not fit the model
 */
export function generationOf(body: Settings, context: GenerationContext): Generation {
  refuseUnsupported(body);
  const { model, scheduler, prompts, stopIds, maxTokens, defaultTokens, logprobs } = context;
  const n = body.n ?? 1;
  const stops = typeof body.stop === "string" ? [body.stop] : body.stop ?? [];
  const sequences = prompts.flatMap((prompt) => Array<readonly number[]>(n).fill(prompt));
  const longest = Math.max(...prompts.map(({ length }) => length));
  const request: Generation = {
    prompts: sequences,
    maxNewTokens: Math.min(maxTokens ?? defaultTokens, room(model, scheduler, longest)),
    sampling: samplingOf(body),
    // Choice k of every prompt draws as it would alone.
    streams: sequences.map((_, s) => s % n),
    stopIds: new Set([...body.ignore_eos ? [] : stopIds, ...body.stop_token_ids ?? []]),
    stop: stopAt(stops, model.tokenizer),
    stops,
    edits: editsOf(body, prompts.length, n),
    logprobs,
  };
  scheduler.check(model.transformer, request);
  return request;
}

/** How many tokens may come after a prompt of this length. */
function room({ transformer: { spec } }: ServedModel, { limits }: Scheduler, length: number) {
  const most = Math.min(spec.maxPositions, limits.keys + 1);
  if (length < most) return most - length;
  const why = length < spec.maxPositions
    ? `there is memory for the keys of ${limits.keys} (see --memory-budget and --cache-tokens)`
    : `the model's context is ${spec.maxPositions}`;
  throw new ApiError(400, `Cannot continue a prompt of ${length} tokens: ${why}`, {
    code: "context_length_exceeded",
  });
}

function samplingOf(body: Settings): GenerateRequest["sampling"] {
  const { temperature, top_p, top_k, min_p, repetition_penalty, seed } = body;
  return {
    temperature: temperature ?? 1,
    topP: top_p || undefined,
    // vLLM's 0 and −1 leave it out.
    topK: top_k && top_k > 0 ? top_k : undefined,
    minP: min_p ?? undefined,
    repetitionPenalty: repetition_penalty ?? undefined,
    seed: seed === undefined || seed === null ? randomSeed() : seed < 0 ? seed + 2 ** 53 : seed,
  };
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/** A list of scales has one for each prompt. */
function editsOf({ edits }: Settings, prompts: number, n: number): Edit[] {
  return (edits ?? []).map(({ scale, vector, ...edit }, i) => {
    if (Array.isArray(scale) && scale.length !== prompts) {
      const param = `edits.${i}.scale`;
      throw new ApiError(400, `Cannot use ${param}: ${scale.length} scales, ${prompts} prompts`, {
        param,
      });
    }
    return {
      ...edit,
      vector: Float32Array.from(vector),
      scale: Array.isArray(scale) ? scale.flatMap((one) => Array<number>(n).fill(one)) : scale,
    };
  });
}

/** Fields that would change what is generated, if they were known. */
function refuseUnsupported(body: Settings): void {
  const refuse = (param: string, way: string) => {
    throw new ApiError(400, `Cannot use ${param}: ${way}`, { param, code: "unsupported" });
  };
  const instead = "it is not supported; repetition_penalty is";
  if (body.presence_penalty) refuse("presence_penalty", instead);
  if (body.frequency_penalty) refuse("frequency_penalty", instead);
  if (Object.keys(body.logit_bias ?? {}).length > 0) refuse("logit_bias", "it is not supported");
  if (body.best_of != null && body.best_of !== (body.n ?? 1)) {
    refuse("best_of", "it is not supported; ask for n and choose");
  }
  const format = body.response_format?.type ?? "text";
  if (format !== "text") refuse("response_format", "only text is supported");
  if (body.suffix) refuse("suffix", "texts can only be continued at their end");
}
