/** `POST /v1/completions`. */

import type { z } from "zod";
import type { Generated } from "../../engine/generation/generate.ts";
import type { TokenLogprobs } from "../../engine/ops/logprobs.ts";
import { promptLogprobs } from "../../engine/prompt_logprobs.ts";
import { ApiError } from "./api_error.ts";
import { ChoiceText } from "./choice_text.ts";
import { checkQueue, type Exchange, usageOf } from "./exchange.ts";
import { completionLogprobs } from "./logprobs.ts";
import type { Reply } from "./reply.ts";
import { checkBody } from "./request_body.ts";
import { CompletionBody, listOf, MOST_SEQUENCES } from "./schemas.ts";
import type { ServedModel } from "./served_models.ts";
import { type Generation, generationOf } from "./settings.ts";

/** OpenAI's own default. */
const DEFAULT_TOKENS = 16;

/** Texts to be continued. */
interface Work {
  body: z.infer<typeof CompletionBody>;
  model: ServedModel;
  /** One for each sequence. */
  request: Generation;
  n: number;
  head: { id: string; object: "text_completion"; created: number; model: string };
}

/** Answers; nothing is generated before all of the request has been checked. */
export function completions(exchange: Exchange): Reply {
  const body = checkBody(CompletionBody, exchange.body);
  const model = exchange.models.find(body.model);
  exchange.note.model = model.id;
  const { tokenizer } = model;
  const prompts = listOf(body.prompt).map((prompt) =>
    typeof prompt === "string" ? tokenizer.encode(prompt, { special: true }) : prompt
  );
  const n = body.n ?? 1;
  if (prompts.length * n > MOST_SEQUENCES) {
    throw new ApiError(
      400,
      `Cannot use prompt: ${prompts.length * n} sequences, at most ${MOST_SEQUENCES}`,
      { param: "prompt" },
    );
  }
  if (body.max_tokens === 0 && !body.echo) {
    throw new ApiError(400, "Cannot use max_tokens: 0 is only of use with echo", {
      param: "max_tokens",
    });
  }
  const request = generationOf(body, {
    ...exchange,
    model,
    prompts,
    stopIds: model.stopIds.text,
    maxTokens: Math.max(1, body.max_tokens ?? DEFAULT_TOKENS),
    logprobs: body.logprobs ?? undefined,
  });
  checkQueue(exchange, request.prompts.length);
  exchange.note.prompt = prompts.reduce((sum, { length }) => sum + length, 0);
  const head = {
    id: `cmpl-${crypto.randomUUID().replaceAll("-", "")}`,
    object: "text_completion" as const,
    created: Math.floor(Date.now() / 1000),
    model: model.id,
  };
  const work = { body, model, request, n, head };
  return body.stream
    ? { kind: "stream", run: (send, signal) => stream(exchange, work, send, signal) }
    : { kind: "json", json: () => whole(exchange, work) };
}

async function whole(exchange: Exchange, work: Work) {
  const { model, request, head, body } = work;
  const { signal, note } = exchange;
  const echoes = await echoed(exchange, work, signal);
  const generated = await generate(exchange, work, { ...request, signal });
  const choices = generated.map(({ ids, finish, logprobs = [] }, index) => {
    const choice = new ChoiceText(model.tokenizer, request.stops);
    const text = choice.push(ids) + choice.end();
    note.completion += ids.length;
    note.answer.push(text);
    const echo = echoes[index];
    const told = body.logprobs == null ? null : completionLogprobs(
      model.tokenizer,
      [...echo.ids, ...ids],
      [...echo.logprobs, ...logprobs],
      0,
    );
    return { index, text: echo.text + text, logprobs: told, finish_reason: finish };
  });
  return { ...head, choices, usage: usageOf(note.prompt, note.completion) };
}

async function stream(
  exchange: Exchange,
  work: Work,
  send: (event: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const { body, model, request, head } = work;
  const { note } = exchange;
  const withUsage = body.stream_options?.include_usage === true;
  const chunk = (choices: unknown[], usage: unknown = null) =>
    send({ ...head, choices, ...(withUsage ? { usage } : {}) });
  const say = (
    index: number,
    text: string,
    logprobs: unknown = null,
    finish_reason: string | null = null,
  ) => chunk([{ index, text, logprobs, finish_reason }]);

  const told = body.logprobs != null;
  const echoes = await echoed(exchange, work, signal);
  const choices = request.prompts.map((_, index) => {
    const { text, ids, logprobs } = echoes[index];
    const lists = told ? completionLogprobs(model.tokenizer, ids, logprobs, 0) : null;
    if (ids.length > 0) say(index, text, lists);
    const offset = lists?.tokens.reduce((sum, token) => sum + token.length, 0) ?? 0;
    return { text: new ChoiceText(model.tokenizer, request.stops), offset };
  });
  const generated = await generate(exchange, work, {
    ...request,
    signal,
    onTokens: (index, ids, logprobs) => {
      const choice = choices[index];
      note.completion += ids.length;
      const text = choice.text.push(ids);
      if (text === "" && !told) return;
      const lists = told ? completionLogprobs(model.tokenizer, ids, logprobs, choice.offset) : null;
      for (const token of lists?.tokens ?? []) choice.offset += token.length;
      say(index, text, lists);
    },
  });
  generated.forEach(({ finish }, index) => {
    const { text } = choices[index];
    const rest = text.end();
    note.answer.push(text.text);
    say(index, rest, null, finish);
  });
  if (withUsage) chunk([], usageOf(note.prompt, note.completion));
}

/** With `max_tokens` 0 there is nothing but the echo. */
async function generate(
  { scheduler }: Exchange,
  { body, model }: Work,
  request: Generation,
): Promise<Generated[]> {
  if (body.max_tokens !== 0) return await scheduler.submit(model.transformer, request);
  return request.prompts.map(() => ({ ids: [], finish: "length" }));
}

/** A prompt that stands before its continuation; empty where none was asked for. */
interface Echo {
  text: string;
  ids: readonly number[];
  logprobs: readonly (TokenLogprobs | null)[];
}

async function echoed(
  { scheduler }: Exchange,
  { body, model, request, n }: Work,
  signal: AbortSignal,
): Promise<Echo[]> {
  if (!body.echo) return request.prompts.map(() => ({ text: "", ids: [], logprobs: [] }));
  const echoes: Echo[] = [];
  for (const [s, prompt] of request.prompts.entries()) {
    if (s % n > 0) {
      echoes.push(echoes[s - 1]);
      continue;
    }
    signal.throwIfAborted();
    const ids = Array.from(prompt);
    const text = model.tokenizer.decode(ids, { skipSpecial: true });
    const logprobs = request.logprobs === undefined
      ? []
      : await scheduler.run(() =>
        promptLogprobs(model.transformer, ids, {
          top: request.logprobs!,
          edits: request.edits?.map((edit) => ({
            ...edit,
            scale: typeof edit.scale === "object" ? edit.scale[s]! : edit.scale,
          })),
        })
      );
    echoes.push({ text, ids, logprobs: request.logprobs === undefined ? [] : [null, ...logprobs] });
  }
  return echoes;
}
