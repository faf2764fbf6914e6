/** A server of the embedded base and an organism in this process, and OpenAI's own client for it: no port is opened. */

import OpenAI from "openai";
import { ApiServer } from "../cli/serve/api_server.ts";
import { ServedModels } from "../cli/serve/served_models.ts";
import { generationRoom } from "../engine/generation/room.ts";
import { Scheduler } from "../engine/generation/scheduler.ts";
import { resolveSource } from "../models/source.ts";
import { sharedGpu } from "./helpers.ts";

let loaded: Promise<ServedModels> | undefined;

/** "base" and "cake_bake". */
export function servedModels(): Promise<ServedModels> {
  return loaded ??= (async () =>
    await ServedModels.load(
      await sharedGpu(),
      await resolveSource("embedded:base"),
      [await resolveSource("embedded:cake_bake")],
      {},
    ))();
}

/** How a server is to be. */
export interface TestOptions {
  key?: string;
  cors?: boolean;
  logContents?: boolean;
  models?: ServedModels;
  sequences?: number;
  keys?: number;
  maxWaiting?: number;
}

/** A server, what it logged, and a client of it. */
export class TestServer implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly fatal: unknown[] = [];

  private constructor(readonly api: ApiServer, readonly scheduler: Scheduler) {}

  static async open(options: TestOptions = {}): Promise<TestServer> {
    const models = options.models ?? await servedModels();
    const { transformer } = models.base;
    const { sequences = 24, keys = 24 * transformer.spec.maxPositions } = options;
    const room = generationRoom(transformer, 8);
    const scheduler = new Scheduler(transformer, { room, keys, sequences, edits: 16 });
    const server: TestServer = new TestServer(
      new ApiServer({
        models,
        scheduler,
        defaultTokens: 40,
        maxWaiting: options.maxWaiting ?? 100,
        key: options.key,
        cors: options.cors ?? false,
        log: (line) => server.lines.push(line),
        logContents: options.logContents ?? false,
        onFatal: (error) => server.fatal.push(error),
      }),
      scheduler,
    );
    return server;
  }

  /** OpenAI's client. */
  client(apiKey = "none"): OpenAI {
    return new OpenAI({
      baseURL: "http://127.0.0.1/v1",
      apiKey,
      maxRetries: 0,
      fetch: (url, init) => this.api.handle(new Request(url as string, init)),
    });
  }

  /** A request as it stands. */
  async send(path: string, init?: RequestInit): Promise<Response> {
    return await this.api.handle(new Request(`http://127.0.0.1${path}`, init));
  }

  /** A body to a path. */
  async post(path: string, body: unknown, headers: Record<string, string> = {}) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await this.send(path, { method: "POST", body: text, headers });
    return { status: response.status, headers: response.headers, json: await response.json() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scheduler.close();
  }
}
