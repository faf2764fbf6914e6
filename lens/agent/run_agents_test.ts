import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ResultsError } from "../../engine/errors.ts";
import { CLOCK, evidence, FakeModels } from "../../tests/agent_fixture.ts";
import { type Behaviour, LlmServer, scenario } from "../../tests/llm_server.ts";
import { ChatClient } from "../graders/llm/client.ts";
import { AGENT, ChatFailure } from "../graders/llm/failures.ts";
import { parseGrades } from "../graders/llm/log.ts";
import { RunFolder } from "../results/run_folder.ts";
import { aggregateRuns } from "./aggregate.ts";
import { Blinding } from "./blinding.ts";
import { agentRunSchema, type Evaluation } from "./results.ts";
import { type AgentPlan, type AgentsRun, runAgents } from "./run_agents.ts";
import { runSummariser, scored } from "./run_summariser.ts";

const KEY = "sk-agent-key-0123456789";
const PLAN: AgentPlan = {
  agents: [{ agent: "adl", interactions: [0, 5] }, { agent: "blackbox", interactions: [5] }],
  runs: 2,
  llmCalls: 6,
  tokens: 200_000,
};

/** An LLM that looks once, asks once, and answers; a grader that gives the grade which the description names. */
class Servers implements AsyncDisposable {
  readonly agent = new LlmServer(async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 3));
    const said = request.body.messages.filter(({ role }) => role === "tool").length;
    const { seed, tools } = request.body;
    // Equal hypotheses are graded once.
    const own = `${seed} ${tools!.length} ${request.prompt.includes("budget: no interactions")}`;
    const calls = [
      { name: "ask_model", arguments: { prompts: ["Hot?"] } },
      { name: "submit_answer", arguments: { description: `Baking. ${own} ${KEY}` } },
    ];
    return { kind: "calls", calls: [calls[Math.min(said, 1)]] };
  });
  readonly grader = new LlmServer(({ prompt }) =>
    `Fine.\nSCORE: ${/grading 3/.test(prompt) ? 5 : 4}`
  );

  async [Symbol.asyncDispose]() {
    await this.agent[Symbol.asyncDispose]();
    await this.grader[Symbol.asyncDispose]();
  }
}

async function evaluate(
  path: string,
  servers: Servers,
  options: Partial<AgentsRun> = {},
): Promise<Evaluation | null> {
  using folder = await RunFolder.open(path, { fingerprint: { test: 1 } });
  return await runAgents({
    folder,
    organism: "cake_bake",
    evidence: evidence(),
    models: new FakeModels(),
    blinding: new Blinding(["cake_bake"]),
    truth: { family: "SDF", description: "Baking.", keyFacts: ["hot", "cold", "sweet"] },
    plan: PLAN,
    llm: {
      chat: new ChatClient({ url: servers.agent.url, model: "m", key: KEY, asked: AGENT }),
      protocol: "tools",
      temperature: 1,
      concurrency: 3,
      prices: { input: 1, output: 10 },
    },
    grader: { chat: new ChatClient({ url: servers.grader.url, model: "g", key: KEY }) },
    seed: 3,
    clock: CLOCK,
    provenance: () => Promise.resolve({}),
    progress: () => ({ update() {}, done() {} }),
    ...options,
  });
}

async function inFolder(test: (path: string) => Promise<void>) {
  const path = await Deno.makeTempDir({ prefix: "palimpsest-agents-" });
  try {
    await test(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

async function readRun(path: string, name: string) {
  return agentRunSchema.parse(JSON.parse(await Deno.readTextFile(`${path}/${name}.json`)));
}

Deno.test("every run is kept and graded three times, and a second time nobody is asked", async () => {
  await inFolder(async (path) => {
    await using servers = new Servers();
    servers.agent.expectTogether(2);
    const found = (await evaluate(path, servers))!;
    assertEquals(found.runs.map(({ agent, interactions, run }) => [agent, interactions, run]), [
      ["adl", 0, 1],
      ["adl", 0, 2],
      ["adl", 5, 1],
      ["adl", 5, 2],
      ["blackbox", 5, 1],
      ["blackbox", 5, 2],
    ]);
    assertEquals(found.runs[0].gradings.map(({ score }) => score), [4, 4, 5]);
    assertEquals(found.aggregates, aggregateRuns([found.runs]));
    assertEquals([found.runs[0].spent.interactions, found.runs[2].spent.interactions], [0, 1]);
    // 2 messages of 100 tokens in and 10 out.
    assertEquals(found.runs[0].cost, 400 / 1e6);
    assertEquals([servers.agent.seen.length, servers.grader.seen.length], [12, 18]);
    assert(servers.agent.busiest > 1 && servers.agent.busiest <= 3);
    assertEquals((await readRun(path, "run_adl_5_2")).seed, 5);
    const grades = await Deno.readTextFile(`${path}/grades.jsonl`);
    assertEquals(parseGrades(grades, "grades.jsonl").length, 18);
    assertEquals(found.grader_usage.requests, 18);
    assert((await Deno.readTextFile(`${path}/evaluation.svg`)).startsWith("<svg"));
    assertEquals(await evaluate(path, servers), found);
    // More runs ask for what is new alone.
    const more = (await evaluate(path, servers, { plan: { ...PLAN, runs: 3 } }))!;
    assertEquals([more.runs.length, servers.agent.seen.length, servers.grader.seen.length], [
      9,
      18,
      27,
    ]);
    assertEquals(more.runs[0], found.runs[0]);
    for await (const { name, isFile } of Deno.readDir(path)) {
      if (!isFile) continue;
      const text = await Deno.readTextFile(`${path}/${name}`);
      assert(!text.includes(KEY), `the key is in ${name}`);
    }
  });
});

Deno.test("a run that was cut off goes on, in both of its halves, and pays for nothing twice", async () => {
  await inFolder(async (path) => {
    await using servers = new Servers();
    const fails: Behaviour = { kind: "status", status: 401 };
    // The first request of each investigation is answered, then the server refuses.
    const [ask] = (await scenario("flaky")).filter(({ kind }) => kind === "calls");
    servers.agent.next(ask, ask, ask, fails, fails, fails);
    await assertRejects(() => evaluate(path, servers), ChatFailure, "401");
    const paid = servers.agent.seen.length;
    const cut = await readRun(path, "run_adl_0_1");
    assertEquals([cut.end, cut.spent.llm_calls], [null, 1]);
    servers.grader.next(
      ...Array(2).fill({ kind: "answer", text: "SCORE: 2" }),
      ...Array(20).fill(fails),
    );
    await assertRejects(() => evaluate(path, servers), Error, "401");
    const before = servers.grader.seen.length;
    const all = servers.agent.seen.length;
    // Of 12 messages in all those that were answered before are not asked for again.
    assertEquals(all - paid, 12 - 3);
    servers.grader.forget();
    const found = (await evaluate(path, servers))!;
    assertEquals(servers.agent.seen.length, all);
    assertEquals(servers.grader.seen.length - before, 18 - 2);
    assertEquals(
      found.runs.flatMap(({ gradings }) => gradings).filter(({ score }) => score === 2).length,
      2,
    );
  });
});

Deno.test("a transcript of other settings is not replaced, and without a ground truth nothing is graded", async () => {
  await inFolder(async (path) => {
    await using servers = new Servers();
    assertEquals(await evaluate(path, servers, { truth: undefined }), null);
    assertEquals(servers.grader.seen, []);
    const other = { ...PLAN, llmCalls: 7 };
    const error = await assertRejects(() => evaluate(path, servers, { plan: other }), ResultsError);
    assertStringIncludes(error.message, 'Cannot continue "run_adl_0_1.json"');
    assertStringIncludes(error.message, "--overwrite");
    assertEquals(servers.agent.seen.length, 12);
  });
});

Deno.test("the summariser is a step that names itself, and chance is what it recalls of others", async () => {
  await inFolder(async (path) => {
    using folder = await RunFolder.open(path, { fingerprint: { test: 1 } });
    const truth = { keyFacts: ["a cake"], keywords: ["cake", "oven"] };
    const others = [{ keyFacts: ["an oven"], keywords: ["ship"] }, {
      keyFacts: ["a ship"],
      keywords: ["sea"],
    }];
    const run = {
      ...{
        folder,
        organism: "cake_bake",
        family: "SDF",
        evidence: evidence(),
        background: ["sea"],
      },
      ...{ agents: ["adl", "logitdiff"] as const, truth, others },
      provenance: () => Promise.resolve({}),
    };
    const found = await runSummariser(run);
    assertEquals(found.method, "evidence summariser");
    const [adl] = found.summaries;
    assertEquals([adl.recall!.fact_recall, adl.recall!.keyword_recall], [1, 1]);
    assertEquals(adl.chance, {
      organisms: 2,
      fact_recall: 0.5,
      keyword_recall: 0,
      word_precision: adl.chance!.word_precision,
    });
    assertEquals({ agent: "adl", ...scored(adl, truth, others) }, adl);
    assertEquals(await runSummariser(run), found);
    const unknown = await runSummariser({ ...run, truth: undefined, others: [] });
    assertEquals([unknown.summaries[0].recall, unknown.summaries[0].chance], [null, null]);
  });
});
