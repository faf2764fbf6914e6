/** `deno task serve`: a model behind OpenAI's API, on this machine unless told otherwise. */

import { InterruptedError, UsageError } from "../engine/errors.ts";
import { generationRoom } from "../engine/generation/room.ts";
import { Scheduler } from "../engine/generation/scheduler.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Transformer } from "../engine/transformer.ts";
import { resolveSource } from "../models/source.ts";
import { parseCommand, type Values } from "./args.ts";
import { openGpu, sourceOptions } from "./common_flags.ts";
import { showLoading } from "./open_pair.ts";
import { measurePrecision } from "./precision.ts";
import type { CommandContext } from "./run_command.ts";
import { isLoopback } from "./serve/access.ts";
import { ApiServer } from "./serve/api_server.ts";
import { ServedModels } from "./serve/served_models.ts";
import { SERVE_COMMAND } from "./serve_flags.ts";
import { visible } from "./visible.ts";

type ServeFlags = Values<typeof SERVE_COMMAND["flags"]>;

/** Edits that are made at once, of all requests. */
const EDITS = 32;

/** How long requests under way may go on when the server is to end. */
const GRACE_MS = 10_000;

/** How long connections may take to close after that. */
const CLOSING_MS = 2_000;

/** Runs the command. */
export async function serve(args: string[], { signal }: CommandContext): Promise<number> {
  const parsed = parseCommand(SERVE_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags } = parsed;
  const key = apiKey(flags);
  using gpu = await openGpu(flags);
  const options = sourceOptions(flags, signal);
  const source = await resolveSource(flags.model, options);
  const adapters = [];
  for (const ref of flags.adapter) adapters.push(await resolveSource(ref, options));
  const view = showLoading(source.name);
  const models = await ServedModels.load(gpu, source, adapters, { ...view, signal })
    .finally(view.done);
  await measureServed(gpu, models);
  const scheduler = openScheduler(models.base.transformer, flags);
  const fatal = Promise.withResolvers<never>();
  fatal.promise.catch(() => {}); // heard of below
  const api = new ApiServer({
    models,
    scheduler,
    defaultTokens: flags.maxNewTokens,
    maxWaiting: flags.maxWaiting,
    key,
    cors: flags.cors,
    log: (line) => console.error(line),
    logContents: flags.logRequests,
    onFatal: fatal.reject,
  });
  const server = listen(flags, api, (url) => {
    console.log(`Serving ${models.all().map(({ id }) => visible(id)).join(", ")} at ${url}`);
  });
  try {
    await Promise.race([aborted(signal), fatal.promise]);
    return await endWell(api, signal);
  } catch (error) {
    api.cut(error);
    throw error;
  } finally {
    await Promise.race([server.shutdown(), after(CLOSING_MS)]);
    await scheduler.close();
  }
}

/** What a model is asked when fast mode is measured: nobody's request is known yet. */
const QUESTION = "What would you like to talk about today, and what should I know about it?";

/** Measures what fast mode costs each of the models. */
async function measureServed(gpu: Gpu, models: ServedModels): Promise<void> {
  const named = models.all().map(({ id, transformer }) => [id, () => Promise.resolve(transformer)]);
  const tokens = models.base.tokenizer.encode(QUESTION, { special: true });
  await measurePrecision(gpu, Object.fromEntries(named), [tokens], { hook: "logits" });
}

/** The key that clients must bring. */
function apiKey({ apiKey, apiKeyEnv, host }: ServeFlags): string | undefined {
  if (apiKey !== undefined && apiKeyEnv !== undefined) {
    throw new UsageError("Give either --api-key or --api-key-env");
  }
  const named = apiKeyEnv === undefined ? undefined : Deno.env.get(apiKeyEnv);
  if (apiKeyEnv !== undefined && !named) {
    throw new UsageError(
      `Cannot take the API key from ${visible(apiKeyEnv)}: the environment does not have it`,
    );
  }
  const key = apiKey ?? named ?? (Deno.env.get("PALIMPSEST_API_KEY") || undefined);
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) {
    throw new UsageError(
      "Cannot use the API key: it must be printable ASCII without spaces, as headers are",
    );
  }
  if (key === undefined && !isLoopback(host)) {
    throw new UsageError(
      `Cannot listen on ${
        visible(host)
      } without an API key: others can reach it; set PALIMPSEST_API_KEY`,
    );
  }
  return key;
}

function openScheduler(model: Transformer, flags: ServeFlags): Scheduler {
  const room = generationRoom(model, EDITS);
  const sequences = Math.min(flags.maxSequences, room.sequences);
  const wanted = flags.cacheTokens ?? sequences * model.spec.maxPositions;
  if (flags.cacheTokens !== undefined && flags.cacheTokens > room.keys) {
    throw new UsageError(
      `Cannot keep the keys of ${flags.cacheTokens} tokens: there is memory for ${room.keys}`,
    );
  }
  return new Scheduler(model, { room, keys: Math.min(wanted, room.keys), sequences, edits: EDITS });
}

function listen(
  { host, port }: ServeFlags,
  api: ApiServer,
  listening: (url: string) => void,
): Deno.HttpServer {
  try {
    return Deno.serve({
      port,
      hostname: host,
      onListen: ({ hostname, port }) =>
        listening(`http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/v1`),
    }, (request) => api.handle(request));
  } catch (cause) {
    const where = `${visible(host)}:${port}`;
    if (cause instanceof Deno.errors.AddrInUse) {
      throw new UsageError(
        `Cannot listen on ${where}: something else does; take another --port, or 0`,
        { cause },
      );
    }
    throw new UsageError(`Cannot listen on ${where}: ${(cause as Error).message}`, { cause });
  }
}

/** Lets what is under way end, for a while; the exit code is 0 if it did. */
async function endWell(api: ApiServer, signal: AbortSignal): Promise<number> {
  if (api.underWay > 0) console.error(`Letting ${api.underWay} requests end`);
  const drained = await Promise.race([
    api.drain().then(() => true),
    after(GRACE_MS).then(() => false),
  ]);
  if (drained) return 0;
  api.cut(new InterruptedError("The server is shutting down"));
  // Streams get their last event.
  await Promise.race([api.drain(), after(CLOSING_MS)]);
  throw signal.reason;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => Deno.unrefTimer(setTimeout(resolve, ms)));
}
