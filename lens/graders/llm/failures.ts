/** What can go wrong with a request to an LLM, and whether it may pass by itself. */

import { APIConnectionTimeoutError, APIError } from "openai";
import { GraderError } from "../../../engine/errors.ts";
import { requestedWait } from "../../../models/hub/retry.ts";
import { quoted } from "./quoted.ts";

/** A request that brought no answer. The message is a reason that goes on from `Cannot …: `. */
export class ChatFailure extends GraderError {
  constructor(
    message: string,
    /** Whether another attempt may succeed. */
    readonly passing: boolean,
    /** How long the server asks to wait, in milliseconds. */
    readonly waitMs?: number,
  ) {
    super(message);
  }
}

/** A conversation that is longer than what the model can read: asked again, it still is. */
export class ContextFailure extends ChatFailure {}

/** Whom a server stands in for, in messages: what it is called, and where its user sets it. */
export interface Asked {
  who: string;
  /** How its flags begin: `--grader` of `--grader-url`. */
  flags: string;
  /** The environment's variable with the key. */
  key: string;
}

/** A grader. */
export const GRADER: Asked = {
  who: "grader",
  flags: "--grader",
  key: "PALIMPSEST_GRADER_KEY",
};

/** The LLM that an agent is. */
export const AGENT: Asked = { who: "agent", flags: "--llm", key: "PALIMPSEST_LLM_KEY" };

/** Characters shown of what a server says. */
export const SHOWN = 160;

/** How servers say it (OpenAI and ours, vLLM, llama.cpp): in the code, the type or the message. */
const TOO_LONG = /context[_ ](?:length|size|window)/i;

const PASSING = new Set([408, 409, 425, 429]);

/**
 * What an error of the `openai` client means. Nothing of it but words and numbers is kept: its objects hold headers.
 *
 * @param redact takes secrets out of what the server says
 */
export function failureOf(
  error: unknown,
  redact: (text: string) => string,
  asked: Asked = GRADER,
): ChatFailure {
  if (error instanceof APIConnectionTimeoutError) {
    return new ChatFailure("the server does not answer in time", true);
  }
  if (error instanceof APIError && error.status !== undefined) {
    return refusedRequest(error, error.status, redact, asked);
  }
  if (error instanceof SyntaxError) {
    return new ChatFailure("the server's answer is not valid JSON", true);
  }
  const reason = quoted(redact(reasonOf(error)), SHOWN);
  return new ChatFailure(`the connection fails: ${reason}; check ${asked.flags}-url`, true);
}

function refusedRequest(
  error: APIError,
  status: number,
  redact: (text: string) => string,
  { flags, key }: Asked,
): ChatFailure {
  if (status === 401 || status === 403) {
    // Servers repeat parts of the key here.
    const way = `check ${key} or OPENAI_API_KEY, and what it may use`;
    return new ChatFailure(
      `the server answers ${status} (the key is missing or refused); ${way}`,
      false,
    );
  }
  const said = quoted(redact(saidBy(error)), SHOWN);
  if (status >= 300 && status < 400) {
    const way = `give ${flags}-url the address that it leads to`;
    return new ChatFailure(`the server answers ${status}, a redirect; ${way}`, false);
  }
  if (error.code === "insufficient_quota") {
    return new ChatFailure(`the account has no credit left: ${said}`, false);
  }
  if (TOO_LONG.test([error.code, error.type, saidBy(error)].join(" "))) {
    const way = "serve the model with a longer context";
    return new ContextFailure(
      `the conversation is longer than the model reads: ${said}; ${way}`,
      false,
    );
  }
  const answers = `the server answers ${status}: ${said}`;
  if (PASSING.has(status) || status >= 500) {
    const way = `try again later, or with a smaller ${flags}-concurrency`;
    const wait = error.headers ? requestedWait(error.headers) : undefined;
    return new ChatFailure(`${answers}; ${way}`, true, wait);
  }
  return new ChatFailure(`${answers}; check ${flags}-url and ${flags}-model`, false);
}

/** The server's own words. */
function saidBy({ error, message }: APIError): string {
  const own = (error as { message?: unknown } | undefined)?.message;
  return typeof own === "string" ? own : message.replace(/^\d+ /, "");
}

/** The innermost error's words, less addresses. */
function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  const text = inner instanceof Error ? inner.message : String(inner);
  return text.replace(/^error sending request(?: for url \(.*?\))?:?\s*/, "")
    .replace(/https?:\/\/\S+/g, "…");
}
