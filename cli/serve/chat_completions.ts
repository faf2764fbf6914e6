/** `POST /v1/chat/completions`. */

import type { z } from "zod";
import type { Finish } from "../../engine/generation/generate.ts";
import type { TokenLogprobs } from "../../engine/ops/logprobs.ts";
import { type ChatPrompt, chatPrompt } from "./chat_prompt.ts";
import { ChoiceText } from "./choice_text.ts";
import { checkQueue, type Exchange, usageOf } from "./exchange.ts";
import { chatLogprobs } from "./logprobs.ts";
import { checkBody } from "./request_body.ts";
import { ApiError } from "./api_error.ts";
import { ChatBody } from "./schemas.ts";
import type { ServedModel } from "./served_models.ts";
import { type Generation, generationOf } from "./settings.ts";
import { parseSpoken, type Spoken, type ToolCall, ToolFilter } from "./tool_calls.ts";
import type { Reply } from "./reply.ts";

/** A chat to be answered. */
interface Work {
  body: z.infer<typeof ChatBody>;
  model: ServedModel;
  prompt: ChatPrompt;
  request: Generation;
  head: { id: string; created: number; model: string };
}

/** Answers; nothing is generated before all of the request has been checked. */
export function chatCompletions(exchange: Exchange): Reply {
  const body = checkBody(ChatBody, exchange.body);
  const model = exchange.models.find(body.model);
  exchange.note.model = model.id;
  if (body.top_logprobs != null && !body.logprobs) {
    throw new ApiError(400, "Cannot use top_logprobs: logprobs is not true", {
      param: "top_logprobs",
    });
  }
  const prompt = chatPrompt(model, body);
  const request = generationOf(body, {
    ...exchange,
    model,
    prompts: [prompt.ids],
    stopIds: model.stopIds.chat,
    maxTokens: atLeastOne(body.max_completion_tokens ?? body.max_tokens),
    logprobs: body.logprobs ? body.top_logprobs ?? 0 : undefined,
  });
  checkQueue(exchange, request.prompts.length);
  exchange.note.prompt = prompt.ids.length;
  const head = {
    id: `chatcmpl-${crypto.randomUUID().replaceAll("-", "")}`,
    created: Math.floor(Date.now() / 1000),
    model: model.id,
  };
  const work = { body, model, prompt, request, head };
  return body.stream
    ? { kind: "stream", run: (send, signal) => stream(exchange, work, send, signal) }
    : { kind: "json", json: () => whole(exchange, work) };
}

function atLeastOne(tokens: number | null | undefined): number | undefined {
  if (tokens === 0) {
    throw new ApiError(400, "Cannot use max_tokens: expected 1 or more", { param: "max_tokens" });
  }
  return tokens ?? undefined;
}

async function whole(exchange: Exchange, { model, prompt, request, head }: Work) {
  const { scheduler, signal, note } = exchange;
  const generated = await scheduler.submit(model.transformer, { ...request, signal });
  const choices = generated.map(({ ids, finish, logprobs }, index) => {
    const choice = new ChoiceText(model.tokenizer, request.stops);
    const text = choice.push(ids) + choice.end();
    note.completion += ids.length;
    note.answer.push(text);
    const { content, calls } = spoken(text, prompt);
    return {
      index,
      message: {
        role: "assistant",
        content: content === "" && calls.length > 0 ? null : content,
        refusal: null,
        ...(calls.length > 0 ? { tool_calls: calls.map(callJson) } : {}),
      },
      logprobs: logprobs ? logprobsJson(model, request, ids, logprobs) : null,
      finish_reason: finishReason(finish, calls),
    };
  });
  const usage = usageOf(note.prompt, note.completion);
  return { ...head, object: "chat.completion", choices, usage };
}

async function stream(
  exchange: Exchange,
  { body, model, prompt, request, head }: Work,
  send: (event: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const { scheduler, note } = exchange;
  const withUsage = body.stream_options?.include_usage === true;
  const chunk = (choices: unknown[], usage: unknown = null) =>
    send({
      ...head,
      object: "chat.completion.chunk",
      choices,
      ...(withUsage ? { usage } : {}),
    });
  const say = (index: number, delta: unknown, more: Record<string, unknown> = {}) =>
    chunk([{ index, delta, logprobs: null, finish_reason: null, ...more }]);

  const choices = request.prompts.map((_, index) => {
    say(index, { role: "assistant", content: "" });
    return {
      text: new ChoiceText(model.tokenizer, request.stops),
      tools: prompt.tools && new ToolFilter(prompt.tools.form, prompt.tools.names),
    };
  });
  const generated = await scheduler.submit(model.transformer, {
    ...request,
    signal,
    onTokens: (index, ids, logprobs) => {
      const { text, tools } = choices[index];
      note.completion += ids.length;
      const shown = text.push(ids);
      const content = tools ? tools.push(shown) : shown;
      const told = request.logprobs !== undefined;
      if (content === "" && !told) return;
      const more = told ? { logprobs: logprobsJson(model, request, ids, logprobs) } : {};
      say(index, content === "" ? {} : { content }, more);
    },
  });
  generated.forEach(({ finish }, index) => {
    const { text, tools } = choices[index];
    const rest = text.end();
    const shown = tools ? tools.push(rest) : rest;
    const { content, calls } = tools ? tools.end() : { content: "", calls: [] };
    note.answer.push(text.text);
    if (shown + content !== "") say(index, { content: shown + content });
    if (calls.length > 0) {
      say(index, { tool_calls: calls.map((call, i) => ({ index: i, ...callJson(call) })) });
    }
    say(index, {}, { finish_reason: finishReason(finish, calls) });
  });
  if (withUsage) chunk([], usageOf(note.prompt, note.completion));
}

function spoken(text: string, { tools }: ChatPrompt): Spoken {
  return tools ? parseSpoken(text, tools.form, tools.names) : { content: text, calls: [] };
}

function callJson({ name, arguments: json }: ToolCall) {
  const id = `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
  return { id, type: "function", function: { name, arguments: json } };
}

/** The token that ends an answer is no part of it. */
function logprobsJson(
  { tokenizer }: ServedModel,
  { stopIds }: Generation,
  ids: readonly number[],
  logprobs: readonly TokenLogprobs[],
) {
  const kept = stopIds?.has(ids.at(-1)!) ? ids.slice(0, -1) : ids;
  return { content: chatLogprobs(tokenizer, kept, logprobs), refusal: null };
}

function finishReason(finish: Finish, calls: readonly ToolCall[]): string {
  return calls.length > 0 ? "tool_calls" : finish;
}
