/**
 * What requests may hold: OpenAI's fields, and of vLLM's extensions those that the engine has. Other fields are ignored, but
 * for those whose being ignored would change what the client gets: they are refused in `settings.ts`.
 */

import { z } from "zod";
import { numberBetween, wholeNumber } from "../../engine/schema.ts";

/** The most sequences of one request. */
export const MOST_SEQUENCES = 128;

/** The most edits of one request. */
export const MOST_EDITS = 8;

const MOST_STOPS = 16;
const MOST_POSITIONS = 4096;
const LARGEST_SEED = Number.MAX_SAFE_INTEGER;

const Stop = z.string().min(1, "expected a text that is not empty");

const Edit = z.strictObject({
  hook: z.string().max(80),
  op: z.enum(["add", "replace", "project"]),
  vector: z.array(numberBetween(-3.4e38, 3.4e38)),
  scale: z.union([numberBetween(-1e6, 1e6), z.array(numberBetween(-1e6, 1e6))]).optional(),
  positions: z.union([
    z.literal("all"),
    z.array(wholeNumber(0, 2 ** 31)).max(MOST_POSITIONS),
  ]).optional(),
});

/** How texts are generated, in chats and otherwise. */
const Settings = z.object({
  model: z.string(),
  n: wholeNumber(1, MOST_SEQUENCES).nullish(),
  seed: wholeNumber(-LARGEST_SEED, LARGEST_SEED).nullish(),
  stop: z.union([Stop, z.array(Stop).max(MOST_STOPS)]).nullish(),
  max_tokens: wholeNumber(0, 2 ** 31).nullish(),
  temperature: numberBetween(0, 100).nullish(),
  top_p: numberBetween(0, 1).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  // Extensions, by vLLM's names.
  top_k: wholeNumber(-1, 2 ** 31).nullish(),
  min_p: numberBetween(0, 1).nullish(),
  repetition_penalty: numberBetween(0.01, 100).nullish(),
  ignore_eos: z.boolean().nullish(),
  stop_token_ids: z.array(wholeNumber(0, 2 ** 31)).max(64).nullish(),
  /** Our own: as `deno task generate --edits` takes them, with the vectors themselves. */
  edits: z.array(Edit).max(MOST_EDITS).nullish(),
  // Known, so that they can be refused.
  presence_penalty: z.number().nullish(),
  frequency_penalty: z.number().nullish(),
  logit_bias: z.record(z.string(), z.number()).nullish(),
  best_of: z.number().nullish(),
  response_format: z.object({ type: z.string() }).nullish(),
  suffix: z.string().nullish(),
});

/** Values of the fields that chats and completions share. */
export type Settings = z.infer<typeof Settings>;

const Part = z.object({
  type: z.literal("text", "only parts of text can be read"),
  text: z.string(),
});
const Content = z.union([z.string(), z.array(Part)]);

const Call = z.object({
  id: z.string().optional(),
  type: z.literal("function"),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

const Message = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer", "user"]), content: Content }),
  z.object({
    role: z.literal("assistant"),
    content: Content.nullish(),
    tool_calls: z.array(Call).nullish(),
  }),
  z.object({
    role: z.literal("tool"),
    content: Content,
    tool_call_id: z.string().optional(),
    name: z.string().optional(),
  }),
]);

/** A message of a chat, as clients write it. */
export type ApiMessage = z.infer<typeof Message>;

/** `POST /v1/chat/completions`. */
export const ChatBody = Settings.extend({
  messages: z.array(Message).min(1, "expected one message at least"),
  max_completion_tokens: wholeNumber(0, 2 ** 31).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: wholeNumber(0, 20).nullish(),
  tools: z.array(z.object({
    type: z.literal("function"),
    function: z.object({
      name: z.string().regex(/^[\w.-]{1,64}$/, "expected up to 64 letters, digits, _, . and -"),
      description: z.string().optional(),
      parameters: z.unknown().optional(),
    }),
  })).max(128).nullish(),
  tool_choice: z.unknown().optional(),
  chat_template_kwargs: z.object({ enable_thinking: z.boolean().nullish() }).nullish(),
});

const Ids = z.array(wholeNumber(0, 2 ** 31)).min(1);
const Texts = z.union(
  [z.string(), z.array(z.string()).min(1), Ids, z.array(Ids).min(1)],
  "expected a text, token ids, or a list of either",
);

/** `POST /v1/completions`. */
export const CompletionBody = Settings.extend({
  prompt: Texts,
  echo: z.boolean().nullish(),
  logprobs: wholeNumber(0, 20).nullish(),
});

/** `POST /v1/embeddings`. */
export const EmbeddingBody = z.object({
  model: z.string(),
  input: Texts,
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: wholeNumber(1, 2 ** 31).nullish(),
});

/** A text or token ids, or several of either, as a list. */
export function listOf(input: z.infer<typeof Texts>): (string | number[])[] {
  if (typeof input === "string") return [input];
  return typeof input[0] === "number" ? [input as number[]] : input as (string | number[])[];
}
