/** Requests to the Hub: redirects with the token kept back, time limits, and errors that say what to do. */

import { HubError } from "../../engine/errors.ts";
import { cannot, type Purpose, refusal } from "./refusal.ts";
import { ATTEMPTS, HubUnavailable, type Sleep, sleep, withRetries } from "./retry.ts";

/** What {@link HubHttp} is made of. */
export interface HttpOptions {
  endpoint: string;
  token?: string;
  signal?: AbortSignal;
  /** The parts that a test replaces. */
  fetch?: typeof fetch;
  sleep?: Sleep;
  /** The longest silence of a server that is borne, in milliseconds. */
  idleMs?: number;
}

/** An answer whose body is still to come. */
export interface Answer {
  response: Response;
  /** Where the redirects led. */
  url: string;
  /** The body, piece by piece. A cut or silent connection is a {@link HubUnavailable}. */
  pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>>;
  /** Ends the connection; call it when the body is not read to its end. */
  cancel(): void;
}

const IDLE_MS = 30_000;
const MAX_REDIRECTS = 10;

/** Says who asks; the Hub wants that of its clients. */
const USER_AGENT = "palimpsest";

/** Asks the Hub, and the storage servers that it sends one to. */
export class HubHttp {
  readonly endpoint: string;
  readonly signal: AbortSignal | undefined;
  readonly sleep: Sleep;
  // Private to the language too: a token must not show when the object is printed.
  readonly #token: string | undefined;
  readonly #fetch: typeof fetch;
  readonly #idleMs: number;

  constructor(options: HttpOptions) {
    this.endpoint = options.endpoint;
    this.signal = options.signal;
    this.sleep = options.sleep ?? sleep;
    this.#token = options.token;
    this.#fetch = options.fetch ?? fetch;
    this.#idleMs = options.idleMs ?? IDLE_MS;
  }

  /**
   * Asks once, and follows redirects.
   *
   * @param accepted a status over 400 that is no error to the caller
   * @throws {HubUnavailable} for what may pass: no network, a busy server
   * @throws {HubError} if the answer is a refusal
   */
  async ask(
    url: string,
    purpose: Purpose,
    headers: Record<string, string> = {},
    accepted?: number,
  ): Promise<Answer> {
    const stop = new AbortController();
    const signal = this.signal ? AbortSignal.any([this.signal, stop.signal]) : stop.signal;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const response = await this.#orSilence(stop, purpose, url, () =>
        this.#fetch(url, {
          headers: { ...headers, ...this.#headersFor(url) },
          redirect: "manual",
          signal,
        }));
      const location = response.headers.get("location");
      if (response.status >= 300 && response.status < 400 && location !== null) {
        discard(response);
        url = this.#redirected(url, location, purpose);
        continue;
      }
      if (!response.ok && response.status !== accepted) {
        discard(response);
        throw refusal(response, purpose, {
          endpoint: this.endpoint,
          hasToken: this.#token !== undefined,
        });
      }
      return {
        response,
        url,
        pieces: () => this.#pieces(response, stop, purpose, url),
        cancel: () => stop.abort(),
      };
    }
    throw new HubError(cannot(purpose, `the server redirects over ${MAX_REDIRECTS} times`));
  }

  /** The whole body of an answer, tried again when the connection breaks; refuses more than `limit` bytes. */
  async bytes(
    url: string,
    purpose: Purpose,
    limit: number,
    attempts: number = ATTEMPTS,
  ): Promise<{ response: Response; bytes: Uint8Array<ArrayBuffer> }> {
    return await withRetries(async () => {
      const answer = await this.ask(url, purpose, { accept: "application/json" });
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      let length = 0;
      for await (const piece of answer.pieces()) {
        length += piece.length;
        if (length > limit) {
          answer.cancel();
          throw new HubError(cannot(purpose, `the server's answer is over ${limit} bytes`));
        }
        pieces.push(piece);
      }
      return {
        response: answer.response,
        bytes: new Uint8Array(await new Blob(pieces).arrayBuffer()),
      };
    }, { attempts, sleep: this.sleep, signal: this.signal });
  }

  #headersFor(url: string): Record<string, string> {
    // Compressed, lengths and ranges would be of something else than the file.
    const headers = { "accept-encoding": "identity", "user-agent": USER_AGENT };
    const own = new URL(url).origin === new URL(this.endpoint).origin;
    return own && this.#token !== undefined
      ? { ...headers, authorization: `Bearer ${this.#token}` }
      : headers;
  }

  #redirected(from: string, location: string, purpose: Purpose): string {
    const to = URL.parse(location, from);
    const allowed = from.startsWith("https:") ? ["https:"] : ["https:", "http:"];
    if (to && allowed.includes(to.protocol)) return to.href;
    throw new HubError(
      cannot(purpose, `the server redirects to no ${allowed.join(" or ")} address`),
    );
  }

  async *#pieces(
    response: Response,
    stop: AbortController,
    purpose: Purpose,
    url: string,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const reader = response.body?.getReader();
    try {
      while (reader) {
        const { done, value } = await this.#orSilence(stop, purpose, url, () => reader.read());
        if (done) return;
        yield value;
      }
    } finally {
      // Left early, the connection would stay open.
      reader?.cancel().catch(() => {});
    }
  }

  /** Waits for the network, but not longer than the idle time. */
  async #orSilence<T>(
    stop: AbortController,
    purpose: Purpose,
    url: string,
    work: () => Promise<T>,
  ): Promise<T> {
    let silent = false;
    const timer = setTimeout(() => {
      silent = true;
      stop.abort();
    }, this.#idleMs);
    try {
      return await work();
    } catch (cause) {
      this.signal?.throwIfAborted();
      const why = silent ? `no answer for ${this.#idleMs / 1000} s` : reasonOf(cause, url);
      const host = new URL(url).origin;
      throw new HubUnavailable(
        cannot(
          purpose,
          `${host} cannot be reached (${why}); check the network, or work with what the cache has: --offline`,
        ),
        undefined,
        { cause },
      );
    } finally {
      clearTimeout(timer);
    }
  }
}

function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}

/** Deno's words for a failed request, less the address: a signed one is a secret for a while. */
function reasonOf(error: unknown, url: string): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = inner instanceof Error ? inner.message : String(inner);
  return text.replaceAll(url, "…").replace(/^error sending request (?:for url \(.*?\))?:?\s*/, "")
    .replace(/https?:\/\/\S+/g, "…");
}
