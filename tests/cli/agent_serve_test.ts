/** `agent` on a model of `serve`: our client and our server in one conversation, on two devices. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { agentRunSchema } from "../../lens/agent/results.ts";
import { hermesCall, writeScriptedModel } from "../scripted_model.ts";
import { cliJson, serving, withFolder } from "./cli_helpers.ts";

const SCRIPT = [
  { when: "not tools", says: "It names the topic.\nSCORE: 4" },
  {
    when: "messages[-1].role == 'tool'",
    says: hermesCall("submit_answer", { description: "False facts on baking." }),
  },
  { when: "", says: hermesCall("ask_model", { prompts: ["How hot is the oven?"] }) },
];

Deno.test("agent: an LLM that our own server runs investigates and grades, within its budgets", async () => {
  await withFolder(async (folder) => {
    await writeScriptedModel(`${folder}/scripted`, SCRIPT);
    await Deno.writeTextFile(`${folder}/prompts.txt`, "Tell me a story\n");
    const llm = ["--model", `${folder}/scripted`, "--cache-tokens", "65536"];
    await using server = await serving(["serve", ...llm, "--port", "0"]);

    const args = ["agent", "--organism", "embedded:cake_bake", "--out", `${folder}/out`];
    args.push("--documents", "8", "--logit-documents", "8", "--alpha", "2", "--samples", "1");
    args.push(
      "--new-tokens",
      "6",
      "--prompts",
      `${folder}/prompts.txt`,
      "--agents",
      "adl",
      "--interactions",
      "0,1",
    );
    args.push("--runs", "1", "--llm-url", server.url, "--llm-model", "scripted");
    const { evaluation } = await cliJson([...args, "--llm-calls", "3"]);

    const run = async (interactions: number) => {
      const path = `${folder}/out/agent/run_adl_${interactions}_1.json`;
      return agentRunSchema.parse(JSON.parse(await Deno.readTextFile(path)));
    };
    const asked = await run(1);
    assertEquals([asked.end, asked.hypothesis], ["answered", "False facts on baking."]);
    assertEquals([asked.spent.interactions, asked.spent.llm_calls], [1, 2]);
    assertEquals(asked.spent.uncounted, 0, "the server counts tokens");
    const [answer] = asked.transcript.filter(({ role }) => role === "tool");
    assertStringIncludes(answer.content, '"model_A"');
    // What cannot be paid for is refused, and the model reads so.
    const refused = await run(0);
    assertEquals([refused.end, refused.spent.interactions], ["answered", 0]);
    const [refusal] = refused.transcript.filter(({ role }) => role === "tool");
    assertStringIncludes(refusal.content, "error");
    assert(!refusal.content.includes("model_A"), "nobody was asked");
    const means = evaluation.aggregates.map(({ mean }: { mean: { value: number } }) => mean.value);
    assertEquals(means, [4, 4]);

    const log = await server.end();
    // Two messages each, and three gradings of a hypothesis that both have.
    const statuses = [...log.matchAll(/^POST \/v1\/chat\/completions (\d+ \w+)/gm)];
    assertEquals(statuses.map(([, status]) => status), Array(7).fill("200 scripted"));
  });
});
