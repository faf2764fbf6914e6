import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { LlmServer } from "../tests/llm_server.ts";
import { parseCommand } from "./args.ts";
import { chosenLlms, HYPOTHESIS_GRADER_FLAGS, LLM_FLAGS } from "./llm_flags.ts";

function choose(args: string[], env: Record<string, string> = {}) {
  const flags = { ...LLM_FLAGS, ...HYPOTHESIS_GRADER_FLAGS };
  const parsed = parseCommand({ usage: "", summary: "", flags }, args);
  if (parsed.kind === "help") throw new Error("No help was asked for");
  return chosenLlms(parsed.flags, (name) => env[name]);
}

Deno.test("without --llm-model no LLM is asked, and its flags are refused", () => {
  assertEquals(choose([], { OPENAI_API_KEY: "sk-0123456789" }), undefined);
  for (
    const given of [["--llm-url", "http://x/v1"], ["--grader-model", "m"], ["--llm-calls", "3"]]
  ) {
    assertThrows(() => choose(given), UsageError, `Cannot use ${given[0]} without an LLM`);
  }
  const llm = ["--llm-model", "m"];
  assertThrows(() => choose([...llm, "--llm-calls", "101"]), UsageError, "from 1 to 100");
  assertThrows(
    () => choose([...llm, "--llm-input-price", "1"]),
    UsageError,
    "both --llm-input-price",
  );
  assertThrows(
    () => choose([...llm, "--grader-url", "http://x/v1"]),
    UsageError,
    "Missing --grader-model",
  );
  assertThrows(
    () => choose([...llm, "--llm-url", "ftp://x"]),
    UsageError,
    "Cannot use the agent's address",
  );
  assertThrows(
    () => choose(llm, { PALIMPSEST_LLM_KEY: "a b" }),
    UsageError,
    "Cannot use the agent's key",
  );
});

Deno.test("the grader is the agents' LLM unless it is said otherwise, and each server has its own key", async () => {
  await using one = new LlmServer();
  await using two = new LlmServer();
  const sent = async (args: string[], env: Record<string, string>) => {
    const { llm, grader } = choose(["--llm-model", "m", "--llm-url", one.url, ...args], env)!;
    const message = { role: "user", content: "?" } as const;
    await llm.chat.converse([message]);
    await grader.chat.complete([message]);
    const seen = [...one.seen.splice(0), ...two.seen.splice(0)];
    return seen.map(({ headers, body }) => [body.model, headers.get("authorization")]);
  };
  const keys = { PALIMPSEST_LLM_KEY: "sk-agent", OPENAI_API_KEY: "sk-open" };
  assertEquals(await sent([], keys), [["m", "Bearer sk-agent"], ["m", "Bearer sk-agent"]]);
  assertEquals(await sent(["--grader-model", "g"], { ...keys, PALIMPSEST_GRADER_KEY: "sk-g" }), [
    ["m", "Bearer sk-agent"],
    ["g", "Bearer sk-g"],
  ]);
  const other = ["--grader-model", "g", "--grader-url", two.url];
  assertEquals(await sent(other, keys), [["m", "Bearer sk-agent"], ["g", "Bearer sk-open"]]);
  assertEquals(await sent(other, { PALIMPSEST_LLM_KEY: "sk-agent" }), [
    ["m", "Bearer sk-agent"],
    ["g", null],
  ]);
});
