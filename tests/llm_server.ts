/** A small server of OpenAI's chat completions on this machine, for tests; it misbehaves when it is told to. */

/** A request as it came. */
export interface SeenRequest {
  path: string;
  headers: Headers;
  /** The first message. */
  prompt: string;
  body: {
    model: string;
    messages: {
      role: string;
      content: string;
      tool_calls?: { id: string; function: { name: string; arguments: string } }[];
      tool_call_id?: string;
    }[];
    tools?: { type: string; function: { name: string; parameters: unknown } }[];
    temperature?: number;
    seed?: number;
    max_completion_tokens?: number;
  };
}

/** What a server does with a request. */
export type Behaviour =
  /** Answers, as it should. */
  | { kind: "answer"; text: string | null; usage?: unknown; finish?: string }
  /** Calls tools; arguments that are no text are sent as JSON. */
  | { kind: "calls"; calls: { name: string; arguments: unknown; id?: string }[]; text?: string }
  /** Says that it will not answer. */
  | { kind: "refusal"; text: string }
  /** An answer without choices. */
  | { kind: "empty" }
  /** A status, and a body that is an error of the protocol unless it is given. */
  | { kind: "status"; status: number; headers?: Record<string, string>; body?: unknown }
  /** A body of its own with status 200, JSON by its type unless it says otherwise. */
  | { kind: "body"; text: string; type?: string }
  /** Breaks the connection in the middle of the body. */
  | { kind: "cut" }
  /** Does not answer until the server is closed. */
  | { kind: "silence" }
  /** Begins to answer and does not end until the server is closed. */
  | { kind: "stall" }
  /** A body without an end. */
  | { kind: "flood" };

/** Answers with a text. */
export function says(text: string): Behaviour {
  return { kind: "answer", text };
}

/** What a server says by itself: a text, or anything else. */
export type Reply = string | Behaviour;

/** The behaviours of a file of `tests/llm_scenarios/`, in their order. */
export async function scenario(name: string): Promise<Behaviour[]> {
  const path = `${import.meta.dirname}/llm_scenarios/${name}.json`;
  return JSON.parse(await Deno.readTextFile(path)).answers;
}

/** The server. What it is told to do comes first, request by request; then it answers as `reply` says. */
export class LlmServer implements AsyncDisposable {
  /** All requests so far. */
  readonly seen: SeenRequest[] = [];
  /** The most requests that were under way at a time. */
  busiest = 0;
  #busy = 0;
  /** Resolves once so many requests are under way; see {@link expectTogether}. */
  #together?: { count: number; reached: PromiseWithResolvers<void> };
  readonly #planned: Behaviour[] = [];
  readonly #closed = Promise.withResolvers<void>();
  readonly #reply: (request: SeenRequest) => Reply | Promise<Reply>;
  readonly #server = Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
    onError: () => new Response(null, { status: 500 }),
  }, (request) => this.#answer(request));

  constructor(reply: (request: SeenRequest) => Reply | Promise<Reply> = () => "COHERENT") {
    this.#reply = reply;
  }

  /** What clients take for the API's address. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/v1`;
  }

  /** Plans what is done with the next requests, one each. */
  next(...behaviours: Behaviour[]): void {
    this.#planned.push(...behaviours);
  }

  /** Takes back what is planned. */
  forget(): void {
    this.#planned.length = 0;
  }

  /** Holds every answer back until so many requests have been under way at a time, for five seconds at most. */
  expectTogether(count: number): void {
    const reached = Promise.withResolvers<void>();
    const timer = setTimeout(reached.resolve, 5000);
    reached.promise.then(() => clearTimeout(timer));
    this.#together = { count, reached };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#together?.reached.resolve();
    this.#closed.resolve();
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    this.busiest = Math.max(this.busiest, ++this.#busy);
    if (this.#together && this.#busy >= this.#together.count) this.#together.reached.resolve();
    try {
      const body: SeenRequest["body"] = await request.json();
      const seen: SeenRequest = {
        path: new URL(request.url).pathname,
        headers: request.headers,
        prompt: body.messages[0]?.content ?? "",
        body,
      };
      this.seen.push(seen);
      await this.#together?.reached.promise;
      if (seen.path !== "/v1/chat/completions") return Response.json({}, { status: 404 });
      const planned = this.#planned.shift() ?? await this.#reply(seen);
      return await this.#behave(typeof planned === "string" ? says(planned) : planned, seen);
    } finally {
      this.#busy--;
    }
  }

  async #behave(behaviour: Behaviour, { body: { model } }: SeenRequest): Promise<Response> {
    switch (behaviour.kind) {
      case "answer": {
        const { text, finish = "stop", usage = USAGE } = behaviour;
        const message = { role: "assistant", content: text };
        return completion(model, [{ index: 0, message, finish_reason: finish }], usage);
      }
      case "calls": {
        const { calls, text = null } = behaviour;
        const tool_calls = calls.map(({ name, arguments: args, id }, i) => ({
          id: id ?? `c${this.seen.length}_${i}`,
          type: "function",
          function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) },
        }));
        const message = { role: "assistant", content: text, tool_calls };
        return completion(model, [{ index: 0, message, finish_reason: "tool_calls" }], USAGE);
      }
      case "refusal": {
        const message = { role: "assistant", content: null, refusal: behaviour.text };
        return completion(model, [{ index: 0, message, finish_reason: "stop" }], USAGE);
      }
      case "empty":
        return completion(model, [], USAGE);
      case "status": {
        const { status, headers, body = { error: { message: `error ${status}` } } } = behaviour;
        return Response.json(body, { status, headers });
      }
      case "body": {
        const { text, type = "application/json" } = behaviour;
        return new Response(text, { headers: { "content-type": type } });
      }
      case "silence":
        await this.#closed.promise;
        return Response.json({});
      default:
        return new Response(this.#stream(behaviour.kind), {
          headers: { "content-type": "application/json" },
        });
    }
  }

  #stream(kind: "cut" | "stall" | "flood"): ReadableStream<Uint8Array<ArrayBuffer>> {
    let pieces = 0;
    return new ReadableStream({
      pull: async (controller) => {
        if (pieces++ === 0 || kind === "flood") {
          controller.enqueue(new TextEncoder().encode('{"choices": [' + " ".repeat(100_000)));
        } else if (kind === "stall") {
          await this.#closed.promise;
          controller.close();
        } else {
          // Time for what was sent to leave before the connection goes.
          await new Promise((resolve) => setTimeout(resolve, 20));
          controller.error(new Error("cut"));
        }
      },
    });
  }
}

/** What the server says that every answer took. */
export const USAGE = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };

function completion(model: string, choices: unknown[], usage: unknown): Response {
  return Response.json({ id: "1", object: "chat.completion", created: 0, model, choices, usage });
}
