/** Requests to a server of embeddings: what may pass is tried again, after as long as the server asks to wait. */

import OpenAI, { APIConnectionTimeoutError, APIError } from "openai";
import { EndpointError, UsageError } from "../../engine/errors.ts";
import { quote } from "../../engine/weights/names.ts";
import { requestedWait, type Sleep, sleep } from "../../models/hub/retry.ts";
import { boundedFetch } from "../graders/llm/bounded_fetch.ts";
import type { PostJson } from "./endpoint_embedder.ts";

/** Where a server is. */
export interface EndpointOptions {
  /** Up to `/embeddings`: `https://api.openai.com/v1`. */
  url: string;
  /** A secret: sent to the server and shown nowhere. */
  key?: string;
  /** The longest wait for an answer, in milliseconds. */
  timeoutMs?: number;
  /** Replaced by tests. */
  sleep?: Sleep;
}

/** How often a request is sent at most. */
const ATTEMPTS = 6;

const TIMEOUT_MS = 120_000;

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

/** A server that asks for more is taken at its word, and the user told. */
const LONGEST_WAIT_MS = 300_000;

/** Statuses under 500 that may pass by themselves. */
const PASSING = new Set([408, 409, 425, 429]);

/**
 * Makes what posts to a server.
 *
 * @throws {UsageError} if the address or the key cannot be used; the posts throw {@link EndpointError}
 */
export function endpointPost(options: EndpointOptions): PostJson {
  const { url, key, timeoutMs = TIMEOUT_MS } = options;
  const secret = checkedKey(key);
  const client = new OpenAI({
    baseURL: checkedUrl(url),
    // The client insists on a key; servers on this machine need none.
    apiKey: secret ?? "none",
    defaultHeaders: secret === undefined ? { authorization: null } : undefined,
    adminAPIKey: null,
    organization: null,
    project: null,
    maxRetries: 0,
    timeout: timeoutMs,
    logLevel: "off",
    fetch: boundedFetch,
  });
  return async (path, body, signal) => {
    for (let attempt = 1;; attempt++) {
      try {
        return await client.post<unknown>(path, { body, signal });
      } catch (error) {
        signal?.throwIfAborted();
        const wait = attempt < ATTEMPTS ? waitAfter(error, attempt) : Infinity;
        if (wait <= LONGEST_WAIT_MS) {
          await (options.sleep ?? sleep)(wait, signal);
          continue;
        }
        const reason = reasonOf(error);
        const safe = secret === undefined ? reason : reason.replaceAll(secret, "(key)");
        throw new EndpointError(`Cannot embed texts: ${safe}`);
      }
    }
  };
}

/** How long to wait before another attempt, in milliseconds; infinite where it would fail too. */
function waitAfter(error: unknown, attempt: number): number {
  const backOff = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS);
  if (!(error instanceof APIError) || error.status === undefined) return backOff;
  const passing = PASSING.has(error.status) || error.status >= 500;
  if (!passing || error.code === "insufficient_quota") return Infinity;
  return (error.headers && requestedWait(error.headers)) ?? backOff;
}

/** What an error of the client means. Its own objects hold the key, so nothing of them is kept but words. */
function reasonOf(error: unknown): string {
  if (error instanceof APIConnectionTimeoutError) return "the server does not answer in time";
  if (error instanceof SyntaxError) return "the server's answer is not valid JSON";
  if (!(error instanceof APIError) || error.status === undefined) {
    let inner = error;
    while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
    const words = inner instanceof Error ? inner.message : String(inner);
    return `the connection fails: ${quote(words)}; check --embedding-url`;
  }
  const { status, message } = error;
  // Servers repeat parts of the key here.
  if (status === 401 || status === 403) {
    return `the server answers ${status}; check PALIMPSEST_EMBEDDING_KEY or OPENAI_API_KEY`;
  }
  return `the server answers ${quote(message)}; check --embedding-url and --embedding-model`;
}

function checkedUrl(text: string): string {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search) {
    return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  }
  // The value may hold a password.
  throw new UsageError(
    "Cannot use --embedding-url: expected http or https without user name or query, such as http://localhost:8000/v1",
  );
}

function checkedKey(key: string | undefined): string | undefined {
  const trimmed = key?.trim();
  if (!trimmed) return undefined;
  if (/^[\x21-\x7e]+$/.test(trimmed)) return trimmed;
  throw new UsageError("Cannot use the embedding key: it has characters that no key has");
}
