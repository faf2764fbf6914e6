/** The server as a function from requests to responses: routes, access, errors, the log. It opens no port. */

import { InterruptedError } from "../../engine/errors.ts";
import { checkOrigin, CORS_HEADERS, KeyCheck } from "./access.ts";
import { ApiError, isFatal, toApiError } from "./api_error.ts";
import { chatCompletions } from "./chat_completions.ts";
import { completions } from "./completions.ts";
import { embeddings } from "./embeddings.ts";
import { eventStream } from "./event_stream.ts";
import type { Exchange, ServeState } from "./exchange.ts";
import type { Reply } from "./reply.ts";
import { readJsonBody } from "./request_body.ts";
import { type Logged, logLine } from "./request_log.ts";

/** How requests are let in and told of. */
export interface ApiOptions extends ServeState {
  /** What clients must bring; everybody is let in without. */
  key?: string;
  /** Lets pages of any origin in. */
  cors: boolean;
  /** Is given a line for each request. */
  log(line: string): void;
  /** Whether what was asked and answered is logged too. */
  logContents: boolean;
  /** Is told once when the device is gone. */
  onFatal(error: unknown): void;
}

const POSTS: Record<string, (exchange: Exchange) => Reply> = {
  "/v1/chat/completions": chatCompletions,
  "/v1/completions": completions,
  "/v1/embeddings": embeddings,
};

/** Answers requests. */
export class ApiServer {
  readonly #keys: KeyCheck;
  readonly #end = new AbortController();
  #closing = false;
  #underWay = 0;
  #idle = Promise.withResolvers<void>();

  constructor(private readonly options: ApiOptions) {
    this.#keys = new KeyCheck(options.key);
  }

  /** Requests that have not been answered to their end. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Answers a request. It never rejects. */
  async handle(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const note = { prompt: 0, completion: 0, answer: [] };
    const logged: Logged = { method: request.method, path: pathname, began: Date.now(), note };
    this.#underWay++;
    try {
      const response = await this.#answer(request, pathname, logged);
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
        this.#ended(logged, response.status);
      }
      return this.#withCors(response);
    } catch (error) {
      return this.#withCors(this.#failed(logged, error));
    }
  }

  /** Refuses what comes from now on; resolves when everything under way has ended. */
  async drain(): Promise<void> {
    this.#closing = true;
    if (this.#underWay > 0) await this.#idle.promise;
  }

  /** Ends what is under way, streams with an error as their last event. */
  cut(reason: unknown): void {
    this.#closing = true;
    this.#end.abort(reason);
  }

  async #answer(request: Request, path: string, logged: Logged): Promise<Response> {
    const { options } = this;
    const { headers, method } = request;
    if (method === "OPTIONS" && options.cors) return new Response(null, { status: 204 });
    checkOrigin(headers, options.cors);
    if (path === "/health") return this.#health(method);
    await this.#keys.check(headers);
    if (this.#closing) throw closing();
    const post = Object.hasOwn(POSTS, path) ? POSTS[path] : undefined;
    if (!post) return this.#models(method, path);
    requireMethod(method, "POST");
    const signal = AbortSignal.any([request.signal, this.#end.signal]);
    const { models, scheduler, defaultTokens, maxWaiting } = options;
    const body = await readJsonBody(request);
    logged.body = body;
    const state = { models, scheduler, defaultTokens, maxWaiting };
    const reply = post({ ...state, signal, body, note: logged.note });
    if (reply.kind === "json") return Response.json(await reply.json());
    const ended = (error?: unknown) => {
      if (error === undefined) this.#ended(logged, 200);
      else this.#failed(logged, error);
    };
    return eventStream({ run: reply.run, ended }, signal);
  }

  #models(method: string, path: string): Response {
    const { models } = this.options;
    const [, id] = /^\/v1\/models\/(.+)$/.exec(path) ?? [];
    if (path !== "/v1/models" && id === undefined) {
      const known = ["/health", "/v1/models", ...Object.keys(POSTS)].join(", ");
      throw new ApiError(404, `There is nothing here: the paths are ${known}`);
    }
    requireMethod(method, "GET");
    if (id === undefined) return Response.json(models.list());
    return Response.json(models.describe(models.find(decoded(id))));
  }

  #health(method: string): Response {
    requireMethod(method, "GET");
    const { models, scheduler } = this.options;
    if (this.#closing) throw closing();
    models.gpu.check();
    const { running, waiting, usedKeys, limits: { keys } } = scheduler;
    return Response.json({ status: "ok", running, waiting, cache: { used: usedKeys, of: keys } });
  }

  #withCors(response: Response): Response {
    if (!this.options.cors) return response;
    for (const [name, value] of Object.entries(CORS_HEADERS)) response.headers.set(name, value);
    return response;
  }

  #failed(logged: Logged, error: unknown): Response {
    const told = toApiError(error);
    const gone = error instanceof DOMException && error.name === "AbortError";
    // 499 is nginx's for a client that has gone.
    this.#ended(logged, gone ? 499 : told.status, gone ? undefined : error);
    if (isFatal(error)) {
      this.#closing = true;
      this.options.onFatal(error);
    }
    return Response.json(told.body(), { status: told.status, headers: told.details.headers });
  }

  #ended(logged: Logged, status: number, error?: unknown): void {
    const { log, logContents } = this.options;
    for (const line of logLine(logged, { status, error, contents: logContents })) log(line);
    if (--this.#underWay > 0) return;
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
  }
}

function requireMethod(method: string, wanted: string): void {
  if (method === wanted) return;
  throw new ApiError(405, `Cannot ${method.slice(0, 10)} this: use ${wanted}`, {
    headers: { allow: wanted },
  });
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

function closing(): InterruptedError {
  return new InterruptedError("The server is shutting down");
}
