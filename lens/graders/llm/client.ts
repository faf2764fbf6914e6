/** One request to a server that speaks OpenAI's chat completions, and a strict look at what comes back. */

import OpenAI, { BadRequestError } from "openai";
import { z } from "zod";
import { UsageError } from "../../../engine/errors.ts";
import { boundedFetch } from "./bounded_fetch.ts";
import { type Asked, ChatFailure, failureOf, GRADER, SHOWN } from "./failures.ts";
import type { Message, RecordedAnswer } from "./log.ts";
import { quoted } from "./quoted.ts";
import type { TokenCounts } from "./tally.ts";

/** What a model said, and what it took. */
export interface Completion extends RecordedAnswer {
  usage: TokenCounts | null;
}

/** One call of a tool, as a model wrote it. */
export interface WrittenCall {
  id: string;
  name: string;
  /** JSON, or not. */
  arguments: string;
}

/** One message of a conversation in which tools are called. */
export type ToolMessage =
  | Message
  | { role: "system"; content: string }
  | { role: "assistant"; content: string; calls: readonly WrittenCall[] }
  | { role: "tool"; content: string; call: string };

/** A tool, as a model is told of it. */
export interface ToolDescription {
  name: string;
  description: string;
  /** JSON Schema of the arguments. */
  parameters: Record<string, unknown>;
}

/** How one request of a conversation is made. */
export interface ConverseOptions {
  tools?: readonly ToolDescription[];
  temperature?: number;
  seed?: number;
  /** The most tokens of the answer. */
  maxTokens?: number;
  signal?: AbortSignal;
}

/** An answer, and the tools that it calls. */
export interface ToolCompletion extends Completion {
  calls: WrittenCall[];
}

/** A model that can be given tools. */
export interface ToolModel {
  /** Its name. */
  readonly model: string;
  /**
   * Asks once.
   *
   * @throws {ChatFailure} if no answer comes
   */
  converse(messages: readonly ToolMessage[], options?: ConverseOptions): Promise<ToolCompletion>;
}

/** A model that can be talked to. */
export interface ChatModel {
  /** Its name. */
  readonly model: string;
  /**
   * Asks once.
   *
   * @throws {ChatFailure} if no answer comes
   */
  complete(messages: readonly Message[], signal?: AbortSignal): Promise<Completion>;
}

/** Where a model is. */
export interface ChatOptions {
  /** Up to `/chat/completions`: `https://api.openai.com/v1`. */
  url: string;
  model: string;
  /** A secret: sent to the server, and shown and stored nowhere. */
  key?: string;
  /** The longest wait for a whole answer, in milliseconds. */
  timeoutMs?: number;
  /** What it is for, for messages (default: a grader). */
  asked?: Asked;
}

const TIMEOUT_MS = 120_000;

/** Keys that are shorter are no secrets but place-holders, and may well be words of an answer. */
const SECRET_LENGTH = 8;

const tokenCount = z.int().min(0);

const usage = z.object({ prompt_tokens: tokenCount, completion_tokens: tokenCount });

const toolCall = z.object({
  id: z.string().nullish(),
  // Some servers send the arguments parsed.
  function: z.object({ name: z.string(), arguments: z.unknown() }),
});

const completion = z.object({
  choices: z.array(z.object({
    finish_reason: z.string().nullish(),
    message: z.object({
      content: z.string().nullish(),
      refusal: z.string().nullish(),
      tool_calls: z.array(toolCall).nullish(),
    }),
  })),
  usage: usage.nullish().catch(null),
});

/** Parameters that a server may not know; they are left out from the request on that it refuses for one of them. */
const OPTIONAL = ["temperature", "seed", "max_completion_tokens"] as const;
type Optional = typeof OPTIONAL[number];

/** Asks a server. */
export class ChatClient implements ChatModel, ToolModel {
  readonly model: string;
  // Private to the language too: the key must not show when the object is printed.
  readonly #client: OpenAI;
  readonly #key: string | undefined;
  readonly #asked: Asked;
  readonly #refused = new Set<Optional>();

  /** @throws {UsageError} if the address or the key cannot be used; the message does not have the key */
  constructor({ url, model, key, timeoutMs = TIMEOUT_MS, asked = GRADER }: ChatOptions) {
    this.model = model;
    this.#asked = asked;
    this.#key = checkedKey(key, asked);
    this.#client = new OpenAI({
      baseURL: checkedUrl(url, asked),
      // The client insists on a key; where there is none, its header is left out.
      apiKey: this.#key ?? "none",
      defaultHeaders: this.#key === undefined ? { authorization: null } : undefined,
      adminAPIKey: null,
      organization: null,
      project: null,
      maxRetries: 0,
      timeout: timeoutMs,
      logLevel: "off",
      fetch: boundedFetch,
    });
  }

  /** With temperature 0, unless the model turns out to take none. */
  async complete(messages: readonly Message[], signal?: AbortSignal): Promise<Completion> {
    const { calls: _, ...completion } = await this.converse(messages, { temperature: 0, signal });
    return completion;
  }

  async converse(
    messages: readonly ToolMessage[],
    options: ConverseOptions = {},
  ): Promise<ToolCompletion> {
    const { tools, temperature, seed, maxTokens, signal } = options;
    const wanted = { temperature, seed, max_completion_tokens: maxTokens };
    for (const name of this.#refused) wanted[name] = undefined;
    let answer: unknown;
    try {
      answer = await this.#client.chat.completions.create({
        model: this.model,
        messages: messages.map(wireMessage),
        ...(tools && { tools: tools.map((tool) => ({ type: "function", function: { ...tool } })) }),
        ...wanted,
      }, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      const refused = OPTIONAL.find((name) => wanted[name] !== undefined && refuses(error, name));
      if (refused === undefined) {
        throw failureOf(error, (text) => this.#redact(text), this.#asked);
      }
      this.#refused.add(refused);
      return await this.converse(messages, options);
    }
    return { ...this.#read(answer), temperature: wanted.temperature ?? null };
  }

  #read(answer: unknown): Omit<ToolCompletion, "temperature"> {
    const parsed = completion.safeParse(answer);
    if (!parsed.success) {
      const found = this.#redact(
        typeof answer === "string" ? answer : JSON.stringify(answer) ?? "",
      );
      throw new ChatFailure(
        `the server's answer is no chat completion: ${quoted(found, SHOWN)}`,
        true,
      );
    }
    const [choice] = parsed.data.choices;
    if (!choice) throw new ChatFailure("the server's answer has no choices", true);
    const { finish_reason, message: { content, refusal, tool_calls } } = choice;
    const { usage } = parsed.data;
    return {
      text: this.#redact(refusal || content || ""),
      refused: Boolean(refusal) || finish_reason === "content_filter",
      usage: usage ? { input: usage.prompt_tokens, output: usage.completion_tokens } : null,
      calls: (tool_calls ?? []).map(({ id, function: called }) => ({
        id: this.#redact(id ?? ""),
        name: this.#redact(called.name),
        arguments: this.#redact(
          typeof called.arguments === "string"
            ? called.arguments
            : JSON.stringify(called.arguments) ?? "",
        ),
      })),
    };
  }

  #redact(text: string): string {
    const secret = this.#key !== undefined && this.#key.length >= SECRET_LENGTH;
    return secret ? text.replaceAll(this.#key!, "(key)") : text;
  }
}

function wireMessage(message: ToolMessage): OpenAI.ChatCompletionMessageParam {
  if (message.role === "tool") {
    return { role: "tool", content: message.content, tool_call_id: message.call };
  }
  const { role, content } = message;
  if (!("calls" in message) || message.calls.length === 0) return { role, content };
  return {
    role: "assistant",
    content,
    tool_calls: message.calls.map(({ id, name, arguments: text }) => ({
      id,
      type: "function",
      function: { name, arguments: text },
    })),
  };
}

/** The newest models of OpenAI take no other temperature than their own; other servers lack other parameters. */
function refuses(error: unknown, name: Optional): boolean {
  return error instanceof BadRequestError && error.param === name;
}

function checkedUrl(text: string, { who }: Asked): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search) {
    // The value may hold a password.
    throw new UsageError(
      `Cannot use the ${who}'s address: expected http or https without user name or query, such as http://localhost:8000/v1`,
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function checkedKey(key: string | undefined, { who }: Asked): string | undefined {
  const trimmed = key?.trim();
  if (!trimmed) return undefined;
  if (/^[\x21-\x7e]+$/.test(trimmed)) return trimmed;
  throw new UsageError(`Cannot use the ${who}'s key: it has characters that no key has`);
}
