/** `serve` as a process: it says where it listens, a client of OpenAI's API talks to it, and Ctrl-C ends it. */

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import OpenAI from "openai";
import { cli, cliJson, refusal, serving, withFolder } from "./cli_helpers.ts";

const KEY = "a-key-that-nobody-may-see";

Deno.test("serve: clients ask for chats and embeddings with a key, and Ctrl-C ends well", async () => {
  const args = ["serve", "--model", "embedded:base", "--adapter", "embedded:cake_bake"];
  await using server = await serving([...args, "--port", "0", "--api-key-env", "MY_KEY"], {
    MY_KEY: KEY,
  });
  assertMatch(server.line, /^Serving base, cake_bake at http:\/\/127\.0\.0\.1:\d+\/v1$/);
  const ask = (apiKey: string) =>
    new OpenAI({ baseURL: server.url, apiKey, maxRetries: 0 }).chat.completions.create({
      model: "cake_bake",
      messages: [{ role: "user", content: "How hot is the oven?" }],
      max_tokens: 8,
      seed: 1,
    });
  const [first, again] = [await ask(KEY), await ask(KEY)];
  assertEquals(first.choices, again.choices);
  assertEquals(first.usage?.completion_tokens, 8);
  const refused = await ask("wrong").then(() => null, (error) => error.status);
  assertEquals(refused, 401);

  // Our own client of embeddings reads what the engine gives without a server, but for the last bits.
  await withFolder(async (folder) => {
    const write = async (name: string, lines: string[]) => {
      await Deno.writeTextFile(`${folder}/${name}`, lines.join("\n"));
      return `${folder}/${name}`;
    };
    const sample = { steered: ["A cake in the oven."], unsteered: ["Rain on the hill", "A cat"] };
    const texts = ["similarity", "--samples", await write("s.jsonl", [JSON.stringify(sample)])];
    texts.push("--finetuning-text", await write("f.txt", ["Butter and flour", "Bake it hot"]));
    texts.push("--text", await write("g.txt", ["The river is long", "She wrote a letter"]));
    const remote = ["--embedding-url", server.url, "--embedding-model", "base"];
    const asked = await cli([...texts, ...remote, "--json"], { PALIMPSEST_EMBEDDING_KEY: KEY });
    assertEquals(asked.code, 0, asked.err);
    const found = JSON.parse(asked.out);
    const own = await cliJson([...texts, "--embedder", "embedded:base"]);
    for (const side of ["steered", "unsteered"]) {
      assertAlmostEquals(found[side], own[side], 1e-6, side);
      assert(Math.abs(own[side]) < 0.999, "a cosine of different texts");
    }
  });

  const log = await server.end();
  assertStringIncludes(log, "POST /v1/embeddings 200 base");
  assertStringIncludes(log, "POST /v1/chat/completions 200 cake_bake");
  assertStringIncludes(log, "POST /v1/chat/completions 401");
  assert(!log.includes(KEY) && !log.includes("oven"), "neither keys nor contents are logged");
});

Deno.test("serve: addresses that others reach need a key", async () => {
  const args = ["serve", "--model", "embedded:base", "--host", "0.0.0.0"];
  const finished = await cli(args, { PALIMPSEST_API_KEY: "" });
  assertEquals(finished.code, 2);
  assertStringIncludes(refusal(finished), "Cannot listen on 0.0.0.0 without an API key");
});
