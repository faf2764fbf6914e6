import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { LlmServer } from "../tests/llm_server.ts";
import { parseCommand } from "./args.ts";
import { GRADER_FLAGS, type GraderFlags, llmGrader } from "./grader_flags.ts";

function flagsOf(...args: string[]): GraderFlags {
  const parsed = parseCommand({ usage: "", summary: "", flags: GRADER_FLAGS }, args);
  if (parsed.kind === "help") throw new Error("No help was asked for");
  return parsed.flags;
}

function open(args: string[], env: Record<string, string> = {}) {
  return llmGrader(flagsOf(...args), {}, (name) => env[name]);
}

Deno.test("without --grader llm no LLM is asked, and its flags are refused", () => {
  assertEquals(open([], { OPENAI_API_KEY: "sk-0123456789" }), undefined);
  assertEquals(open(["--grader", "offline"]), undefined);
  assertThrows(
    () => open(["--grader-model", "m"]),
    UsageError,
    "Cannot use --grader-model with the offline grader: add --grader llm",
  );
  assertThrows(() => open(["--grader-concurrency", "4"]), UsageError, "--grader-concurrency");
  assertThrows(() => open(["--grader", "human"]), UsageError, "offline, llm");
});

Deno.test("an LLM needs a model, and both prices if one", () => {
  const llm = ["--grader", "llm"];
  assertThrows(() => open(llm), UsageError, "Missing --grader-model");
  assertEquals(open([...llm, "--grader-model", "m"])?.name, "m");
  const price = [...llm, "--grader-model", "m", "--grader-input-price", "1"];
  assertThrows(() => open(price), UsageError, "give both --grader-input-price and");
  assertEquals(open([...price, "--grader-output-price", "2"])?.usage.cost, 0);
  assertThrows(() => open([...llm, "--grader-concurrency", "0"]), UsageError);
  assertThrows(
    () => open([...llm, "--grader-model", "m", "--grader-url", "ftp://x"]),
    UsageError,
    "Cannot use the grader's address",
  );
});

Deno.test("the key is the grader's own, else OpenAI's; an empty one is none", async () => {
  await using server = new LlmServer();
  const sent = async (env: Record<string, string>) => {
    const args = ["--grader", "llm", "--grader-model", "m", "--grader-url", server.url];
    await open(args, env)!.areCoherent([{ prompt: "", text: "", ids: [], promptIds: [] }]);
    return server.seen.at(-1)!.headers.get("authorization");
  };
  assertEquals(await sent({}), null);
  assertEquals(await sent({ OPENAI_API_KEY: "sk-a" }), "Bearer sk-a");
  assertEquals(
    await sent({ OPENAI_API_KEY: "sk-a", PALIMPSEST_GRADER_KEY: "sk-b" }),
    "Bearer sk-b",
  );
  assertEquals(await sent({ OPENAI_API_KEY: "sk-a", PALIMPSEST_GRADER_KEY: "" }), null);
});

Deno.test("OpenAI's key does not go unencrypted over the network", async () => {
  const { fetch } = globalThis;
  const sent: Record<string, string | null> = {};
  globalThis.fetch = (input, init) => {
    sent[new URL(String(input)).origin] = new Headers(init?.headers).get("authorization");
    const choices = [{ message: { content: "COHERENT" } }];
    return Promise.resolve(Response.json({ choices }));
  };
  try {
    const urls = ["http://192.0.2.1:8000/v1", "https://192.0.2.1/v1", "http://localhost:8000/v1"];
    for (const url of urls) {
      const args = ["--grader", "llm", "--grader-model", "m", "--grader-url", url];
      const text = { prompt: "", text: "", ids: [], promptIds: [] };
      await open(args, { OPENAI_API_KEY: "sk-a" })!.areCoherent([text]);
    }
  } finally {
    globalThis.fetch = fetch;
  }
  assertEquals(sent, {
    "http://192.0.2.1:8000": null,
    "https://192.0.2.1": "Bearer sk-a",
    "http://localhost:8000": "Bearer sk-a",
  });
});
