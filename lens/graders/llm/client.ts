/** One request to a server that speaks OpenAI's chat completions, and a strict look at what comes back. */

import OpenAI, { BadRequestError } from "openai";
import { z } from "zod";
import { UsageError } from "../../../engine/errors.ts";
import { boundedFetch } from "./bounded_fetch.ts";
import { ChatFailure, failureOf, SHOWN } from "./failures.ts";
import type { Message, RecordedAnswer } from "./log.ts";
import { quoted } from "./quoted.ts";
import type { TokenCounts } from "./tally.ts";

/** What a model said, and what it took. */
export interface Completion extends RecordedAnswer {
  usage: TokenCounts | null;
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
}

const TIMEOUT_MS = 120_000;

/** Keys that are shorter are no secrets but place-holders, and may well be words of an answer. */
const SECRET_LENGTH = 8;

const tokenCount = z.int().min(0);

const usage = z.object({ prompt_tokens: tokenCount, completion_tokens: tokenCount });

const completion = z.object({
  choices: z.array(z.object({
    finish_reason: z.string().nullish(),
    message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
  })),
  usage: usage.nullish().catch(null),
});

/** Asks a server. Every request says temperature 0, unless the model turns out to take none. */
export class ChatClient implements ChatModel {
  readonly model: string;
  // Private to the language too: the key must not show when the object is printed.
  readonly #client: OpenAI;
  readonly #key: string | undefined;
  #temperature: number | undefined = 0;

  /** @throws {UsageError} if the address or the key cannot be used; the message does not have the key */
  constructor({ url, model, key, timeoutMs = TIMEOUT_MS }: ChatOptions) {
    this.model = model;
    this.#key = checkedKey(key);
    this.#client = new OpenAI({
      baseURL: checkedUrl(url),
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

  async complete(messages: readonly Message[], signal?: AbortSignal): Promise<Completion> {
    const temperature = this.#temperature;
    const { model } = this;
    let answer: unknown;
    try {
      answer = await this.#client.chat.completions.create(
        { model, messages: messages.map((message) => ({ ...message })), temperature },
        { signal },
      );
    } catch (error) {
      signal?.throwIfAborted();
      if (temperature === undefined || !refusesTemperature(error)) {
        throw failureOf(error, (text) => this.#redact(text));
      }
      this.#temperature = undefined;
      return await this.complete(messages, signal);
    }
    return { ...this.#read(answer), temperature: temperature ?? null };
  }

  #read(answer: unknown): Omit<Completion, "temperature"> {
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
    const { finish_reason, message: { content, refusal } } = choice;
    const { usage } = parsed.data;
    return {
      text: this.#redact(refusal || content || ""),
      refused: Boolean(refusal) || finish_reason === "content_filter",
      usage: usage ? { input: usage.prompt_tokens, output: usage.completion_tokens } : null,
    };
  }

  #redact(text: string): string {
    const secret = this.#key !== undefined && this.#key.length >= SECRET_LENGTH;
    return secret ? text.replaceAll(this.#key!, "(key)") : text;
  }
}

/** The newest models of OpenAI take no other temperature than their own. */
function refusesTemperature(error: unknown): boolean {
  return error instanceof BadRequestError && error.param === "temperature";
}

function checkedUrl(text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search) {
    // The value may hold a password.
    throw new UsageError(
      "Cannot use the grader's address: expected http or https without user name or query, such as http://localhost:8000/v1",
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function checkedKey(key: string | undefined): string | undefined {
  const trimmed = key?.trim();
  if (!trimmed) return undefined;
  if (/^[\x21-\x7e]+$/.test(trimmed)) return trimmed;
  throw new UsageError("Cannot use the grader's key: it has characters that no key has");
}
