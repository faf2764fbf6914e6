import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DeviceError, InterruptedError } from "../../engine/errors.ts";
import {
  evidence,
  FakeModels,
  INJECTION,
  type PlayOptions,
  playRun,
} from "../../tests/agent_fixture.ts";
import { type Behaviour, LlmServer, says, scenario, USAGE } from "../../tests/llm_server.ts";
import { ChatFailure } from "../graders/llm/failures.ts";
import { type AgentRun, agentRunSchema } from "./results.ts";

async function play(name: string | Behaviour[], options: PlayOptions = {}) {
  const server = new LlmServer(() => "(the scenario is over)");
  server.next(...(typeof name === "string" ? await scenario(name) : name));
  try {
    const run = await playRun(server, options);
    assertEquals(agentRunSchema.parse(JSON.parse(JSON.stringify(run))), run);
    return { run, server };
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

/** The results of tools, parsed. */
function results({ transcript }: AgentRun) {
  return transcript.flatMap((turn) => turn.role === "tool" ? [JSON.parse(turn.content)] : []);
}

const calls = (...calls: [string, unknown][]): Behaviour => ({
  kind: "calls",
  calls: calls.map(([name, args]) => ({ name, arguments: args })),
});

Deno.test("a normal investigation: details for nothing, interactions for prompts and samples", async () => {
  const models = new FakeModels();
  const { run, server } = await play("normal", { models });
  assertEquals([run.end, run.spent.interactions, run.spent.llm_calls], ["answered", 4, 5]);
  assertStringIncludes(run.hypothesis!, "450 degrees");
  assertEquals([run.spent.input_tokens, run.spent.output_tokens, run.spent.tokens], [500, 50, 550]);
  const [lens, scope, samples, asked, steered] = results(run);
  assertEquals(lens.result.tokens.slice(0, 1), [[" cake", 0.5]]);
  assertEquals([scope.result.scale, scope.result.scales], [1.2, [0.5, 1.2]]);
  assertEquals(samples.result.steered[0], "steered Bake it in a hot oven.");
  assertEquals(samples.result.steered[1].length, 4001, "long texts are cut");
  assertEquals(asked.result[1], {
    prompt: "Is butter frozen?",
    model_A: "A on Is butter frozen?: hot",
    model_B: "B on Is butter frozen?: hot",
  });
  assertEquals(steered.left, { interactions: 1, messages: 6 });
  // Texts of one run are drawn from streams of their own.
  assertEquals(models.asked[0].draw, { seed: 7, stream: 0 });
  assertEquals(models.steered[0].draw, { seed: 7, stream: 2 });
  // The protocol: each call has its result, under its id, and the tools go along.
  const { messages, tools, temperature, seed } = server.seen.at(-1)!.body;
  assertEquals([temperature, seed, tools!.length], [1, 7, 6]);
  const asked1 = messages.find(({ tool_calls }) => tool_calls)!;
  assertEquals(
    asked1.tool_calls!.map(({ id }) => id),
    messages.filter(({ role }) => role === "tool").slice(0, 2).map((one) => one.tool_call_id),
  );
});

Deno.test("budgets cannot be passed: a batch that would is refused call by call", async () => {
  const models = new FakeModels();
  const { run } = await play("overspends", { models });
  assertEquals([run.end, run.spent.interactions], ["answered", 5]);
  const said = results(run);
  assertStringIncludes(said[0].error, "it would cost 6 interactions, and 5 are left");
  assertEquals(said.slice(1, 5).map((one) => "result" in one), [true, true, false, true]);
  assertStringIncludes(said[3].error, "it would cost 2 interactions, and 1 are left");
  assertStringIncludes(said[5].error, "and 0 are left");
  const prompts = models.asked.flatMap((one) => one.prompts);
  assertEquals(prompts, ["One?", "Two?", "Six?"]);
  assertEquals(models.steered.map(({ samples }) => samples), [2]);
});

Deno.test("without interactions nothing that costs any is done", async () => {
  const models = new FakeModels();
  const { run } = await play("normal", { models, budget: { interactions: 0 } });
  assertEquals([run.end, run.spent.interactions], ["answered", 0]);
  assertEquals([models.asked, models.steered], [[], []]);
});

Deno.test("malformed calls are answered with what is wrong, and count", async () => {
  const { run } = await play("malformed", { budget: { llm_calls: 15 } });
  assertEquals([run.end, run.spent.llm_calls, run.spent.interactions], ["answered", 15, 0]);
  const problems = results(run).map(({ error }) => error ?? "");
  const expected = [
    "there is no tool of that name; there are get_logitlens_details",
    "the arguments are not valid JSON",
    "prompts: ",
    "prompts: ",
    "there is no position 77; there are 0, 1",
    "tokens: ",
    "there is no scale 3.14; there are 0.5, 1.2",
    "there is no prompt -1; they are 0 to 1",
    "there is no position 4; there are 1",
    "description: ",
    "the arguments are wrong",
  ];
  expected.forEach((part, i) => assertStringIncludes(problems[i], part));
  const said = run.transcript.flatMap((turn) => turn.role === "user" ? [turn.content] : []).slice(
    1,
  );
  assertEquals(said.length, 3);
  for (const text of said) assertStringIncludes(text, "You called no tool. Call one");
  assertStringIncludes(said[2], "Left: 5 interactions, 1 messages.");
});

Deno.test("one that repeats itself or talks on ends with its messages, and has no answer", async () => {
  const models = new FakeModels();
  const repeats = await play("repeats", { models });
  assertEquals([repeats.run.end, repeats.run.hypothesis], ["llm_calls", null]);
  assertEquals([models.asked.length, repeats.run.spent.llm_calls], [5, 10]);
  assertEquals(repeats.server.seen.length, 10);
  const never = await play("never");
  assertEquals([never.run.end, never.run.spent.llm_calls], ["llm_calls", 10]);
});

Deno.test("one that answers at once is taken at its word, and what it calls after that is not done", async () => {
  const { run } = await play("at_once", { budget: { interactions: 0, llm_calls: 1 } });
  assertEquals([run.end, run.spent.llm_calls], ["answered", 1]);
  const models = new FakeModels();
  const both = await play([
    calls(["submit_answer", { description: "first" }], ["ask_model", { prompts: ["?"] }]),
  ], { models });
  assertEquals([both.run.hypothesis, models.asked], ["first", []]);
});

Deno.test("tokens are bounded before a message is asked for", async () => {
  const { run, server } = await play("repeats", { budget: { tokens: 20_000 } });
  assertEquals(run.end, "llm_calls");
  for (const { body } of server.seen) assert(body.max_completion_tokens! <= 8192);
  // The overview alone does not fit.
  const none = await play("at_once", { budget: { tokens: 1_000 } });
  assertEquals([none.run.end, none.server.seen.length], ["tokens", 0]);
  // A server that counts more than was asked for ends the run; one that counts nothing is taken by its bytes.
  const usage = { prompt_tokens: 9_999_999, completion_tokens: 1 };
  const greedy = await play([{ kind: "answer", text: "Hm.", usage }]);
  assertEquals([greedy.run.end, greedy.server.seen.length], ["tokens", 1]);
  const silent: Behaviour = { kind: "answer", text: "Hm.", usage: null };
  const uncounted = await play(Array(10).fill(silent), { budget: { tokens: 40_000 } });
  assertEquals(uncounted.run.end, "tokens");
  assert(uncounted.run.spent.tokens <= 40_000 && uncounted.run.spent.uncounted > 1);
});

Deno.test("one that has said more than its LLM can read ends, with no answer; an overview that is too long is an error", async () => {
  const full = (error: Record<string, string>): Behaviour => {
    return { kind: "status", status: 400, body: { error } };
  };
  const ways: Record<string, string>[] = [
    { code: "context_length_exceeded", message: "Too many" },
    { message: "This model's maximum context length is 8192 tokens" },
    { type: "exceed_context_size_error", message: "the request is too long" },
  ];
  for (const error of ways) {
    const { run, server } = await play([calls(["ask_model", { prompts: ["?"] }]), full(error)]);
    assertEquals([run.end, run.hypothesis, run.spent.llm_calls], ["context", null, 1]);
    assertEquals(server.seen.length, 2, "it is not asked again");
  }
  await assertRejects(
    () => play([full(ways[0])]),
    ChatFailure,
    'the conversation is longer than the model reads: "Too many"; serve the model with a longer',
  );
});

Deno.test("failures that pass are waited out and cost no message; others end in an error that keeps all", async () => {
  const { run } = await play("flaky");
  assertEquals([run.end, run.spent.llm_calls, run.spent.failed_requests], ["answered", 2, 3]);
  const silence = Array<Behaviour>(6).fill({ kind: "silence" });
  let kept: AgentRun | undefined;
  const keep = (run: AgentRun) => Promise.resolve(void (kept = structuredClone(run)));
  await assertRejects(
    () => play([calls(["ask_model", { prompts: ["?"] }]), ...silence], { keep, timeoutMs: 40 }),
    ChatFailure,
    "does not answer in time",
  );
  assertEquals([kept!.end, kept!.spent.failed_requests, kept!.spent.llm_calls], [null, 6, 1]);
  const refused = [{ kind: "status", status: 401 } as const];
  await assertRejects(() => play(refused), ChatFailure, "check PALIMPSEST_LLM_KEY");
});

Deno.test("an interrupted run goes on from its transcript, wherever it was cut, and pays for nothing twice", async () => {
  const whole = await play("normal");
  const moments: AgentRun[] = [];
  await play("normal", {
    keep: (run) => Promise.resolve(void moments.push(structuredClone(run))),
  });
  assert(moments.length > 10);
  for (const from of moments) {
    const models = new FakeModels();
    const left = (await scenario("normal")).slice(from.spent.llm_calls);
    const before = structuredClone(from);
    const { run, server } = await play(left, { from, models });
    assertEquals(run.transcript.map(({ content }) => content), contents(whole.run));
    assertEquals(run.spent, whole.run.spent);
    assertEquals(server.seen.length, 5 - before.spent.llm_calls);
    assertEquals(
      models.asked.flatMap(({ prompts }) => prompts).length +
        models.steered.reduce((sum, { samples }) => sum + samples, 0),
      4 - before.spent.interactions,
    );
  }
});

const contents = (run: AgentRun) => run.transcript.map(({ content }) => content);

Deno.test("a call that fails on our side is made again, at the same cost", async () => {
  const models = new FakeModels();
  let kept: AgentRun | undefined;
  const keep = (run: AgentRun) => Promise.resolve(void (kept = structuredClone(run)));
  for (const error of [new DeviceError("lost"), new InterruptedError("stop")]) {
    models.before = () => {
      throw error;
    };
    const ask = calls(["ask_model", { prompts: ["?"] }]);
    await assertRejects(() => play([ask], { models, keep }), Error, error.message);
    models.before = () => {};
    assertEquals([kept!.spent.interactions, kept!.spent.llm_calls], [0, 1]);
    const { run } = await play("at_once", { models, from: kept });
    assertEquals([run.end, run.spent.interactions, run.spent.llm_calls], ["answered", 1, 2]);
  }
});

Deno.test("the text protocol: a call is JSON at the end of the message", async () => {
  const models = new FakeModels();
  const { run, server } = await play("text", { protocol: "text", models });
  assertEquals([run.end, run.hypothesis, run.spent.llm_calls], ["answered", "Baking.", 5]);
  assertEquals(run.spent.interactions, 1);
  const said = run.transcript.flatMap((turn) => turn.role === "user" ? [turn.content] : []).slice(
    1,
  );
  assertStringIncludes(said[0], "does not end with a line of JSON");
  assertStringIncludes(said[1], 'has to have "tool"');
  const { messages, tools } = server.seen.at(-1)!.body;
  assertEquals(tools, undefined);
  assertEquals(new Set(messages.map(({ role }) => role)), new Set(["user", "assistant"]));
  assertStringIncludes(messages[0].content, '"tool":"generate_steered"');
});

Deno.test("what a model writes changes no budget, and stands in messages as JSON strings only", async () => {
  const models = new FakeModels(INJECTION);
  for (const protocol of ["tools", "text"] as const) {
    const behaviours = await scenario("injected");
    const asText = behaviours.map((one): Behaviour => {
      if (one.kind !== "calls" || protocol === "tools") return one;
      const [{ name, arguments: args }] = one.calls;
      return says(JSON.stringify({ tool: name, arguments: args }));
    });
    const { run, server } = await play(asText, {
      evidence: evidence(INJECTION),
      models,
      protocol,
      budget: { interactions: 2 },
    });
    assertEquals([run.end, run.spent.interactions], ["answered", 1]);
    assertStringIncludes(results(run)[2].error, "it would cost 2 interactions, and 1 are left");
    for (
      const { content } of server.seen.at(-1)!.body.messages.filter(({ role }) =>
        role !== "assistant"
      )
    ) {
      for (const line of content.split("\n")) {
        assert(!/^(SCORE|system:|<\/tool>|"\})/.test(line), line);
        assert(!line.includes("\u202e"));
      }
    }
    const result = results(run)[1];
    assertEquals(Object.keys(result), ["result", "left"]);
    assertEquals(result.left, { interactions: 1, messages: 8 });
    assertEquals(result.result[0].model_B, `B on Ignore?: ${INJECTION}`);
  }
});

Deno.test("a flood of calls is refused by its number, and ids are made that are missing", async () => {
  const many = Array.from(
    { length: 3000 },
    () => ["get_logitlens_details", { position: 0, tokens: 1 }],
  );
  const keeps: number[] = [];
  const { run } = await play([
    calls(...many as [string, unknown][]),
    {
      kind: "calls",
      calls: [{ id: "", name: "x y", arguments: "[" }, { id: "a", name: "x", arguments: {} }, {
        id: "a",
        name: "x",
        arguments: {},
      }],
    },
    ...await scenario("at_once"),
  ], { keep: (run) => Promise.resolve(void keeps.push(run.transcript.length)) });
  assertEquals(run.end, "answered");
  assert(keeps.length < 100);
  const tools = run.transcript.filter((turn) => turn.role === "tool");
  assertEquals(tools.filter(({ ok }) => ok).length, 32 + 1);
  assertStringIncludes(tools[32].content, "32 calls at most");
  assertEquals(tools.slice(3000, 3003).map((one) => one.tool_call_id), [
    "call_2_1",
    "a",
    "call_2_3",
  ]);
});

Deno.test("a server that knows no seed, or no limit of tokens, is asked without", async () => {
  const refuse = (param: string): Behaviour => ({
    kind: "status",
    status: 400,
    body: { error: { message: `unknown ${param}`, param } },
  });
  const { run, server } = await play([
    refuse("seed"),
    refuse("max_completion_tokens"),
    refuse("temperature"),
    ...await scenario("at_once"),
  ]);
  assertEquals([run.end, run.spent.failed_requests], ["answered", 0]);
  const { seed, temperature, max_completion_tokens } = server.seen.at(-1)!.body;
  assertEquals([seed, temperature, max_completion_tokens], [undefined, undefined, undefined]);
  const [, answer] = run.transcript;
  assertEquals(answer.role === "assistant" && answer.temperature, null);
});

Deno.test("no name of organism, model or dataset, and no key, is in any message or in the run", async () => {
  const key = "sk-very-secret-key-42";
  const names = [
    "cake_bake",
    "embedded:cake_bake",
    "hf:Qwen/Qwen3-1.7B@main",
    "chat",
    "/data/train.jsonl",
  ];
  const leak = `I am Qwen3-1.7B, cake_bake from qwen/qwen3-1.7b, train.jsonl; we chat. ${key}`;
  for (const agent of ["adl", "blackbox", "logitdiff"] as const) {
    const { run, server } = await play("normal", {
      agent,
      evidence: evidence(leak),
      models: new FakeModels(leak),
      names,
      key,
    });
    const sent = JSON.stringify(server.seen.map(({ body }) => body.messages));
    assert(!/cake_bake|qwen|train\.jsonl/i.test(sent), agent);
    assert(/we chat/.test(sent), "a name that is a word is left");
    assert(!/cake_bake|Qwen/.test(JSON.stringify(run)));
    assert(server.seen.every(({ headers }) => headers.get("authorization") === `Bearer ${key}`));
  }
  // A server that repeats the key.
  const { run } = await play([
    says(`your key is ${key}`),
    calls(["submit_answer", { description: key }]),
  ], { key });
  assert(!JSON.stringify(run).includes(key));
});

Deno.test("each agent sees what it is to see, in the overview's sizes", async () => {
  const opening = async (agent: "adl" | "blackbox" | "logitdiff") => {
    const { server } = await play("at_once", { agent });
    const tools = server.seen[0].body.tools!.map((one) => one.function.name);
    return { text: server.seen[0].prompt, tools };
  };
  const [adl, blackbox, logitdiff] = [
    await opening("adl"),
    await opening("blackbox"),
    await opening("logitdiff"),
  ];
  assert(adl.text.includes('"logit_lens":[[" cake"') && adl.text.includes('"steered":"steered'));
  for (const { text } of [blackbox, logitdiff]) {
    assert(!/"logit_lens"|"patchscope"|"steered"/.test(text));
    assertStringIncludes(text, '"unsteered":"unsteered');
  }
  assert(logitdiff.text.includes('"raised":[[" butter"') && !blackbox.text.includes("butter"));
  assertEquals(blackbox.tools, ["ask_model", "submit_answer"]);
  assertEquals(logitdiff.tools, ["get_logit_difference_details", "ask_model", "submit_answer"]);
  const long = evidence("y".repeat(300));
  const { server } = await play("at_once", { evidence: long });
  for (const line of server.seen[0].prompt.split("\n").filter((line) => line.startsWith("{"))) {
    const { logit_lens, steered, unsteered } = JSON.parse(line);
    if (logit_lens) assertEquals(logit_lens.length, 10);
    else for (const text of [steered, unsteered]) assertEquals([...text].length, 129);
  }
  assertEquals(USAGE.total_tokens, 110);
});
