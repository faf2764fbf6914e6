/** What the server refuses, how it says so, and what is left when a client goes. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { AuthenticationError, BadRequestError, NotFoundError } from "openai";
import { isLoopback } from "../cli/serve/access.ts";
import { MAX_BODY_BYTES } from "../cli/serve/request_body.ts";
import { DeviceError, InterruptedError } from "../engine/errors.ts";
import { servedModels, TestServer } from "./serve_helpers.ts";

const CHAT = "/v1/chat/completions";
const messages = [{ role: "user" as const, content: "Hi" }];
const chat = { model: "base", messages, max_tokens: 4, temperature: 0 };

Deno.test("errors have the status and the shape of OpenAI's API, and name the field", async () => {
  await using server = await TestServer.open();
  const long = Array(300).fill(9);
  const cases: [string, unknown, number, string | null, string][] = [
    [CHAT, "{", 400, null, "not valid JSON"],
    [CHAT, '{"model": "base", "model": "base"}', 400, null, "twice"],
    [CHAT, "[".repeat(100), 400, null, "deeper than 64"],
    [CHAT, [], 400, null, "not a JSON object"],
    [CHAT, { ...chat, model: "gpt" }, 404, "model", '"base", "cake_bake"'],
    [CHAT, { ...chat, model: 7 }, 400, "model", "expected string"],
    [CHAT, { ...chat, messages: [] }, 400, "messages", "one message"],
    [CHAT, { ...chat, messages: [{ role: "king", content: "" }] }, 400, "messages.0.role", ""],
    [CHAT, { ...chat, temperature: "hot" }, 400, "temperature", "a number from 0 to 100"],
    [CHAT, { ...chat, n: 0 }, 400, "n", "from 1 to 128"],
    [CHAT, { ...chat, stop: [""] }, 400, "stop.0", "not empty"],
    [CHAT, { ...chat, max_tokens: 0 }, 400, "max_tokens", "1 or more"],
    [CHAT, { ...chat, top_logprobs: 2 }, 400, "top_logprobs", "logprobs is not true"],
    [CHAT, { ...chat, presence_penalty: 1 }, 400, "presence_penalty", "repetition_penalty"],
    [CHAT, { ...chat, logit_bias: { 5: 1 } }, 400, "logit_bias", "not supported"],
    [CHAT, { ...chat, response_format: { type: "json_object" } }, 400, "response_format", ""],
    [CHAT, { ...chat, tool_choice: "required" }, 400, "tool_choice", "cannot be forced"],
    [
      CHAT,
      { ...chat, tools: [{ type: "function", function: { name: "look" } }] },
      400,
      "tools",
      "its chat template knows none",
    ],
    ["/v1/completions", { model: "base", prompt: long }, 400, null, "context is 256"],
    ["/v1/completions", { model: "base", prompt: [5000] }, 400, null, "not in the vocabulary"],
    ["/v1/completions", { model: "base", prompt: "a", suffix: "b" }, 400, "suffix", ""],
    ["/v1/completions", { model: "base", prompt: {} }, 400, "prompt", "a text, token ids"],
    ["/v1/completions", { model: "base", prompt: "a", max_tokens: 0 }, 400, "max_tokens", "echo"],
    ["/v1/embeddings", { model: "base", input: long }, 400, "input", "context is 256"],
    ["/v1/embeddings", { model: "base", input: "a", dimensions: 3 }, 400, "dimensions", "192"],
    ["/v1/nothing", {}, 404, null, "/v1/models"],
  ];
  for (const [path, body, status, param, message] of cases) {
    const { status: found, json: { error } } = await server.post(path, body);
    const what = JSON.stringify(body).slice(0, 80);
    assertEquals([found, error.param], [status, param], `${what}: ${error.message}`);
    assertEquals(Object.keys(error), ["message", "type", "param", "code"]);
    assertStringIncludes(error.message, message);
  }
  const bytes = new Uint8Array([...new TextEncoder().encode('{"model": "'), 0xff, 0x22, 0x7d]);
  const broken = await server.send(CHAT, { method: "POST", body: bytes });
  assertEquals([broken.status, (await broken.json()).error.message], [
    400,
    "Cannot read the body: it is not UTF-8",
  ]);
  const large = await server.post(CHAT, " ".repeat(MAX_BODY_BYTES + 1));
  assertEquals(large.status, 413);
  const get = await server.send(CHAT);
  assertEquals([get.status, get.headers.get("allow")], [405, "POST"]);
  // Unknown fields and nulls are nothing to stumble over.
  const { status } = await server.post(CHAT, {
    ...chat,
    user: "x",
    store: false,
    stop: null,
    n: null,
  });
  assertEquals(status, 200);
  assertEquals(server.fatal, []);

  const client = server.client();
  await assertRejects(
    () => client.chat.completions.create({ ...chat, model: "gpt" }),
    NotFoundError,
  );
  await assertRejects(() => client.chat.completions.create({ ...chat, n: 999 }), BadRequestError);
});

Deno.test("a key lets in, is never told, and pages of other origins stay out", async () => {
  const key = "sk-secret-123";
  await using server = await TestServer.open({ key, logContents: true });
  await server.client(key).models.list();
  for (const wrong of ["sk-secret-124", "sk-secret-12", "none"]) {
    await assertRejects(() => server.client(wrong).models.list(), AuthenticationError);
  }
  assertEquals((await server.send("/v1/models")).status, 401);
  assertEquals((await server.send("/health")).status, 200);
  assert(!server.lines.join("\n").includes("secret"));

  const headers = { origin: "https://example.com", authorization: `Bearer ${key}` };
  assertEquals((await server.send("/v1/models", { headers })).status, 403);
  await using open = await TestServer.open({ cors: true });
  const allowed = await open.send("/v1/models", { headers });
  assertEquals([allowed.status, allowed.headers.get("access-control-allow-origin")], [200, "*"]);
  assertEquals((await open.send(CHAT, { method: "OPTIONS", headers })).status, 204);

  assert(["localhost", "127.0.0.1", "127.1.2.3", "::1"].every(isLoopback));
  assert(!["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com"].some(isLoopback));
});

Deno.test("the log has contents only where they are asked for", async () => {
  const secret = "A secret\u001b[2J wish";
  const body = { ...chat, messages: [{ role: "user", content: secret }] };
  await using quiet = await TestServer.open();
  await quiet.post(CHAT, body);
  await quiet.post(CHAT, { ...body, messages: secret });
  assert(!quiet.lines.join("\n").includes("secret"), quiet.lines.join("\n"));
  await using loud = await TestServer.open({ logContents: true });
  await loud.post(CHAT, body);
  const log = loud.lines.join("\n");
  assertStringIncludes(log, "secret");
  assert(!log.includes("\u001b"));
});

Deno.test("a client that goes frees its place", async () => {
  await using server = await TestServer.open({ sequences: 1 });
  const long = { ...chat, max_tokens: 200, ignore_eos: true };
  const stream = await server.client().chat.completions.create({ ...long, stream: true });
  for await (const { choices } of stream) if (choices[0].delta.content) break;
  const after = await server.post(CHAT, chat);
  assertEquals(after.status, 200);
  assertEquals([server.scheduler.running, server.scheduler.usedKeys], [0, 0]);
  const abort = new AbortController();
  const gone = server.send(CHAT, {
    method: "POST",
    body: JSON.stringify(long),
    signal: abort.signal,
  });
  setTimeout(() => abort.abort(), 100);
  await gone;
  assertEquals((await server.post(CHAT, chat)).status, 200);
  assertEquals(server.lines.map((line) => line.split(" ")[2]), ["499", "200", "499", "200"]);
});

Deno.test("a full queue is told to come back; a server that ends cuts its streams with an error", async () => {
  await using server = await TestServer.open({ sequences: 1, maxWaiting: 1 });
  const long = { ...chat, max_tokens: 200, ignore_eos: true };
  const stream = await server.send(CHAT, {
    method: "POST",
    body: JSON.stringify({ ...long, stream: true }),
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const waiting = server.post(CHAT, long);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const full = await server.post(CHAT, chat);
  assertEquals([full.status, full.headers.get("retry-after")], [429, "2"]);

  const drained = server.api.drain();
  assertEquals((await server.post(CHAT, chat)).status, 503);
  server.api.cut(new InterruptedError("The server is shutting down"));
  const events = (await stream.text()).trim().split("\n\n");
  assertEquals(JSON.parse(events.at(-1)!.slice(6)).error.code, "shutting_down");
  assertEquals((await waiting).status, 503);
  await drained;
});

Deno.test("a lost device is 503, and the command is told", async () => {
  const models = await servedModels();
  await using server = await TestServer.open();
  const { check } = models.gpu;
  models.gpu.check = () => {
    throw new DeviceError("The GPU device was lost");
  };
  try {
    const health = await server.send("/health");
    assertEquals([health.status, (await health.json()).error.code], [503, "device_lost"]);
    assertEquals(server.fatal.length, 1);
  } finally {
    models.gpu.check = check;
  }
});
