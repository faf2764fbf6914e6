/** The server through OpenAI's own client: what it answers, and that nobody's answer depends on who else asks. */

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { generate } from "../../engine/generation/generate.ts";
import { tokenLosses } from "../../engine/token_loss.ts";
import { servedModels, TestServer } from "../serve_helpers.ts";
import { someVector } from "../helpers.ts";

const messages = [{ role: "user" as const, content: "How do I bake a cake?" }];
const chat = { model: "cake_bake", messages, max_tokens: 24, seed: 7 };

Deno.test("a chat is what the engine generates, streamed or not", async () => {
  await using server = await TestServer.open();
  const client = server.client();
  const { transformer, chat: template, tokenizer, stopIds } = (await servedModels()).find(
    "cake_bake",
  );
  const prompt = template!.render(messages, { addGenerationPrompt: true });
  const [{ ids, finish }] = await generate(transformer, {
    prompts: [prompt],
    maxNewTokens: 24,
    sampling: { temperature: 1, seed: 7 },
    stopIds: stopIds.chat,
  });
  const text = tokenizer.decode(ids, { skipSpecial: true });
  assert(text.length > 20, text);

  const whole = await client.chat.completions.create(chat);
  const { choices: [{ message, finish_reason, index, logprobs }], usage, model, object } = whole;
  assertEquals([message.role, message.content, message.refusal], ["assistant", text, null]);
  assertEquals([finish_reason, index, logprobs, model], [finish, 0, null, "cake_bake"]);
  assertEquals(object, "chat.completion");
  const counts = [prompt.length, ids.length, prompt.length + ids.length];
  assertEquals([usage!.prompt_tokens, usage!.completion_tokens, usage!.total_tokens], counts);

  const pieces = [];
  const reasons = [];
  let last;
  const options = { stream: true as const, stream_options: { include_usage: true } };
  for await (const chunk of await client.chat.completions.create({ ...chat, ...options })) {
    last = chunk;
    assertEquals(chunk.object, "chat.completion.chunk");
    for (const { delta, finish_reason } of chunk.choices) {
      pieces.push(delta.content ?? "");
      if (finish_reason) reasons.push(finish_reason);
    }
  }
  assert(pieces.filter((piece) => piece !== "").length > 2, "in pieces");
  assertEquals([pieces.join(""), reasons], [text, [finish]]);
  assertEquals([last!.choices, last!.usage?.total_tokens], [[], counts[2]]);
  assertEquals(server.lines.length, 2);
  const line = `POST /v1/chat/completions 200 cake_bake ${counts[0]}+${counts[1]} tokens `;
  assert(server.lines.every((one) => one.startsWith(line) && /\d+ ms$/.test(one)), server.lines[0]);
});

Deno.test("sixteen requests at once get the same bits as each alone", async () => {
  await using server = await TestServer.open({ sequences: 9 });
  const client = server.client();
  const vector = [...someVector(192, 1)].map((value) => 0.3 * value);
  const requests = Array.from({ length: 16 }, (_, i) => ({
    model: i % 3 === 0 ? "base" : "cake_bake",
    messages: [{
      role: "user" as const,
      content: `Tell me about ${["cakes", "trees", "sums"][i % 3]}`,
    }],
    max_tokens: 6 + i,
    seed: i >> 1,
    temperature: [0, 1, 1.5][i % 3],
    ...(i % 4 === 1 ? { top_p: 0.9, top_k: 50, repetition_penalty: 1.2 } : {}),
    ...(i % 5 === 2 ? { edits: [{ hook: "blocks.2.hook_resid_post", op: "add", vector }] } : {}),
    n: i % 6 === 3 ? 2 : 1,
    logprobs: true,
    top_logprobs: i % 4,
  }));
  const ask = async (request: typeof requests[number]) =>
    (await client.chat.completions.create(request)).choices;
  const alone = [];
  for (const request of requests) alone.push(await ask(request));
  const streamed = client.chat.completions.create({ ...requests[4], stream: true });
  assertEquals(await Promise.all(requests.map(ask)), alone);
  let text = "";
  for await (const { choices } of await streamed) text += choices[0]?.delta.content ?? "";
  assertEquals(text, alone[4][0].message.content);
  const texts = new Set(alone.flat().map(({ message }) => message.content));
  assert(texts.size > 12, `${texts.size} different texts`);
  assertEquals(server.scheduler.usedKeys, 0);
});

Deno.test("seeds, choices and stops", async () => {
  await using server = await TestServer.open();
  const client = server.client();
  const texts = async (more: Record<string, unknown>) =>
    (await client.chat.completions.create({ ...chat, ...more })).choices.map(
      ({ message, finish_reason }) => [message.content, finish_reason],
    );
  const three = await texts({ n: 3 });
  assertEquals(new Set(three.map(([text]) => text)).size, 3);
  assertEquals(await texts({}), [three[0]], "the first choice is that of one alone");
  assertNotEquals(await texts({ seed: 8 }), [three[0]]);
  assertNotEquals(await texts({ seed: -7 }), [three[0]]);
  const [unseeded, again] = [await texts({ seed: undefined }), await texts({ seed: null })];
  assertNotEquals(unseeded, again);

  const [text] = three[0] as [string, string];
  const word = text.trim().split(" ")[3];
  const before = [text.slice(0, text.indexOf(word)), "stop"];
  assertEquals(await texts({ stop: word }), [before]);
  assertEquals(await texts({ stop: ["@@@", word] }), [before]);
  const stream = await client.chat.completions.create({ ...chat, stop: word, stream: true });
  let found = "";
  for await (const { choices } of stream) found += choices[0].delta.content ?? "";
  assertEquals(found, before[0]);
  assertEquals((await texts({ max_completion_tokens: 3 }))[0][1], "length");
});

Deno.test("completions: lists of prompts, token ids, echo, log-probabilities", async () => {
  await using server = await TestServer.open();
  const client = server.client();
  const { tokenizer, transformer } = (await servedModels()).base;
  const settings = { model: "base", max_tokens: 5, temperature: 0 };
  const prompt = "The oven is";
  const ids = tokenizer.encode(prompt, { special: true });
  const one = await client.completions.create({ ...settings, prompt });
  const { text, finish_reason, logprobs } = one.choices[0];
  assertEquals([one.object, finish_reason, logprobs], ["text_completion", "length", null]);
  const list = await client.completions.create({ ...settings, prompt: [prompt, "Once"], n: 2 });
  assertEquals(list.choices.map(({ index }) => index), [0, 1, 2, 3]);
  assertEquals(list.choices[1].text, text);
  assertNotEquals(list.choices[2].text, text);
  for (const prompt of [ids, [ids, ids]]) {
    const { choices } = await client.completions.create({ ...settings, prompt });
    assert(choices.every((choice) => choice.text === text));
  }

  const told = { ...settings, prompt, echo: true, logprobs: 2 };
  const echo = (await client.completions.create(told)).choices[0];
  assertEquals(echo.text, prompt + text);
  const { tokens, token_logprobs, top_logprobs, text_offset } = echo.logprobs!;
  assertEquals(tokens!.length, ids.length + 5);
  assertEquals(token_logprobs![0], null);
  assertEquals(text_offset!.slice(0, 2), [0, tokens![0].length]);
  const all = [...ids, ...tokenizer.encode(text, { special: false })];
  assertEquals(tokens, all.map((id) => tokenizer.tokenText(id)));
  const [losses] = await tokenLosses(transformer, [all]);
  losses.forEach((loss, i) => assertAlmostEquals(token_logprobs![i + 1], -loss, 1e-4));
  assertEquals(Object.keys(top_logprobs![3]).length, 2);
  // The likeliest token was taken.
  const last = token_logprobs!.length - 1;
  assertEquals(Math.max(...Object.values(top_logprobs![last])), token_logprobs![last]);

  const scored = (await client.completions.create({ ...told, max_tokens: 0 })).choices[0];
  assertEquals(scored.text, prompt);
  assertEquals(scored.logprobs!.token_logprobs, token_logprobs!.slice(0, ids.length));
  let streamed = "";
  const parts: (number | null)[] = [];
  for await (const { choices } of await client.completions.create({ ...told, stream: true })) {
    streamed += choices[0].text;
    parts.push(...choices[0].logprobs?.token_logprobs ?? []);
  }
  assertEquals([streamed, parts], [echo.text, token_logprobs]);
});

Deno.test("log-probabilities of a chat are those of the model, and its own words", async () => {
  await using server = await TestServer.open();
  const ask = { ...chat, temperature: 1.6, logprobs: true, top_logprobs: 4, max_tokens: 12 };
  const { choices: [{ logprobs, message }] } = await server.client().chat.completions.create(ask);
  const content = logprobs!.content!;
  const bytes = Uint8Array.from(content.flatMap(({ bytes }) => bytes!));
  assertEquals(new TextDecoder().decode(bytes), message.content);
  for (const { token, logprob, top_logprobs } of content) {
    assertEquals(top_logprobs.length, 4);
    assert(top_logprobs.every((top, j) => j === 0 || top.logprob <= top_logprobs[j - 1].logprob));
    const among = top_logprobs.find((top) => top.token === token);
    if (among) assertEquals(among.logprob, logprob);
    else assert(logprob <= top_logprobs[3].logprob);
    assert(top_logprobs.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0) < 1.0001);
  }
});

Deno.test("embeddings have length 1, are a text's own, and come in both encodings", async () => {
  await using server = await TestServer.open();
  const client = server.client();
  const input = ["Bake the cake in the oven", "The cake bakes in an oven", "Seven times eight"];
  const { data, usage, model } = await client.embeddings.create({ model: "base", input });
  assertEquals([model, data.map(({ index }) => index)], ["base", [0, 1, 2]]);
  const vectors = data.map(({ embedding }) => embedding);
  assertEquals(vectors.map(({ length }) => length), [192, 192, 192]);
  for (const vector of vectors) assertAlmostEquals(Math.hypot(...vector), 1, 1e-5);
  const near = (a: number, b: number) =>
    vectors[a].reduce((sum, value, i) => sum + value * vectors[b][i], 0);
  assert(near(0, 1) > near(0, 2));
  const float = { model: "base", encoding_format: "float" as const };
  const alone = await client.embeddings.create({ ...float, input: input[2] });
  assertEquals(alone.data[0].embedding.map(Math.fround), vectors[2].map(Math.fround));
  const { tokenizer } = (await servedModels()).base;
  const ids = tokenizer.encode(input[2], { special: true });
  const byIds = await client.embeddings.create({ ...float, input: ids });
  assertEquals(byIds.data[0].embedding, alone.data[0].embedding);
  assertEquals(alone.usage.prompt_tokens, ids.length);
  assert(usage.total_tokens > ids.length);
});

Deno.test("models are a base and its adapters", async () => {
  await using server = await TestServer.open();
  const client = server.client();
  const { data } = await client.models.list();
  assertEquals(data.map(({ id, object }) => [id, object]), [["base", "model"], [
    "cake_bake",
    "model",
  ]]);
  const one = await client.models.retrieve("cake_bake") as unknown as Record<string, unknown>;
  assertEquals([one.id, one.parent, one.max_model_len], ["cake_bake", "base", 256]);
  const health = await (await server.send("/health")).json();
  assertEquals(health, {
    status: "ok",
    running: 0,
    waiting: 0,
    cache: { used: 0, of: 24 * 256 },
  });
});

Deno.test("edits steer one request, and are checked", async () => {
  await using server = await TestServer.open();
  const client = server.client();
  const vector = [...someVector(192, 5)];
  const edit = { hook: "blocks.3.hook_resid_post", op: "add", vector, scale: 1.5 };
  const ask = async (edits?: unknown) => {
    const body = { ...chat, temperature: 0, edits };
    return (await client.chat.completions.create(body)).choices[0].message.content;
  };
  const [plain, steered, none] = await Promise.all([
    ask(),
    ask([edit]),
    ask([{ ...edit, scale: 0 }]),
  ]);
  assertNotEquals(steered, plain);
  assertEquals(none, plain);
  const model = (await servedModels()).find("cake_bake");
  const [{ ids }] = await generate(model.transformer, {
    prompts: [model.chat!.render(messages, { addGenerationPrompt: true })],
    maxNewTokens: 24,
    sampling: { temperature: 0, seed: 0 },
    stopIds: model.stopIds.chat,
    edits: [{ ...edit, op: "add", vector: Float32Array.from(vector) }],
  });
  assertEquals(steered, model.tokenizer.decode(ids, { skipSpecial: true }));

  const two = { model: "base", prompt: ["The oven", "The oven"], temperature: 0 };
  const { json } = await server.post("/v1/completions", {
    ...two,
    edits: [{ ...edit, scale: [0, 2] }],
  });
  assertNotEquals(json.choices[0].text, json.choices[1].text);

  const wrong = [
    [{ ...edit, vector: [1] }, "the vector has 1 values, the hook 192"],
    [{ ...edit, hook: "blocks.9.hook_resid_post" }, "Unknown hook"],
    [{ ...edit, op: "multiply" }, "edits.0.op"],
    [{ ...edit, vector: "file" }, "edits.0.vector"],
    [{ ...edit, scale: [1, 2] }, "edits.0.scale"],
    [{ ...edit, positions: [-1] }, "edits.0.positions"],
    [{ ...edit, vector: vector.map(() => 0), op: "project" }, "vector of length 0"],
    [{ ...edit, file: "/etc/passwd" }, "edits.0"],
  ] as const;
  for (const [edit, message] of wrong) {
    await assertRejects(() => ask([edit]), Error, message);
  }
  await assertRejects(() => ask(Array(9).fill(edit)), Error, "edits");
});
