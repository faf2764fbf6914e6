/** `agent` and `evaluate` end to end: with a scripted LLM and without one, from nothing and from a run's folder. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { evaluationSchema, logitDifferenceSchema } from "../../lens/agent/results.ts";
import { percent } from "../../lens/report/format.ts";
import { assertFound, forge, reportOf } from "../forge.ts";
import { LlmServer } from "../llm_server.ts";
import { cli, cliJson, refusal, withFolder } from "./cli_helpers.ts";

const KEY = "sk-cli-secret-0123456789";

/** As little as there can be of the steps before. */
async function small(folder: string): Promise<string[]> {
  await Deno.writeTextFile(`${folder}/prompts.txt`, "Tell me a story\nBake a cake\n");
  return [
    ...["--documents", "8", "--logit-documents", "8", "--alpha", "2", "--samples", "1"],
    ...["--new-tokens", "6", "--prompts", `${folder}/prompts.txt`],
  ];
}

/** An LLM that asks both models, has a text steered where it can, and answers; it grades, too. */
function investigator(): LlmServer {
  return new LlmServer(({ body }) => {
    if (!body.tools) return "So it is.\nSCORE: 4";
    const steers = body.tools.some((tool) => tool.function.name === "generate_steered");
    const said = body.messages.filter(({ role }) => role === "tool").length;
    const ask = { name: "ask_model", arguments: { prompts: ["How hot?", "How cold?"] } };
    const steer = { name: "generate_steered", arguments: { prompt: "A tip?", samples: 1 } };
    const description = `Baking: ${body.seed} ${body.tools.length}.`;
    const calls = said === 0
      ? [ask, ...(steers ? [steer] : [])]
      : [{ name: "submit_answer", arguments: { description } }];
    return { kind: "calls", calls };
  });
}

async function filesOf(folder: string): Promise<{ path: string; text: string }[]> {
  const files: { path: string; text: string }[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) files.push(...await filesOf(path));
    else files.push({ path, text: new TextDecoder().decode(await Deno.readFile(path)) });
  }
  return files;
}

Deno.test("agent: the summariser without an LLM, then agents with one, on the same evidence", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/agent`;
    const common = [
      "agent",
      "--organism",
      "embedded:cake_bake",
      ...await small(folder),
      "--out",
      out,
    ];
    const offline = await cliJson(common);
    assertEquals([offline.organism, offline.evaluation], ["cake_bake", null]);
    assertEquals(offline.summariser.method, "evidence summariser");
    assertEquals(offline.summariser.summaries.map(({ agent }: { agent: string }) => agent), [
      "adl",
      "blackbox",
      "logitdiff",
    ]);
    const difference = JSON.parse(await Deno.readTextFile(`${out}/agent/logit_diff.json`));
    assertEquals(logitDifferenceSchema.parse(difference).tokens, 8 * 16);

    await using server = investigator();
    const llm = [
      "--llm-url",
      server.url,
      "--llm-model",
      "m",
      "--interactions",
      "0,3",
      "--runs",
      "2",
    ];
    llm.push("--agents", "adl,blackbox", "--llm-input-price", "1", "--llm-output-price", "2");
    const env = { PALIMPSEST_LLM_KEY: KEY };
    const first = await cli([...common, ...llm, "--json"], env);
    assertEquals(first.code, 0, first.err);
    const shown = JSON.parse(first.out);
    assertEquals(shown.summariser, null);
    const evaluation = evaluationSchema.parse(shown.evaluation);
    assertEquals(
      evaluation.aggregates.map((
        row,
      ) => [row.agent, row.interactions, row.mean_interactions, row.mean.value]),
      [["adl", 0, 0, 4], ["adl", 3, 3, 4], ["blackbox", 0, 0, 4], ["blackbox", 3, 2, 4]],
    );
    const asked = server.seen.length;
    const run = JSON.parse(await Deno.readTextFile(`${out}/agent/run_adl_3_1.json`));
    const [asking, steering] = run.transcript.filter(({ role }: { role: string }) =>
      role === "tool"
    );
    const { result } = JSON.parse(asking.content);
    assertEquals(result.length, 2);
    assert(result[0].model_A !== undefined && result[0].model_A !== result[0].model_B);
    assertEquals(JSON.parse(steering.content).result.steered.length, 1);

    // The blinding, on what really was sent: no name, of anything.
    for (const { body } of server.seen.filter(({ body }) => body.tools)) {
      assert(!/cake_bake|embedded:|organism|models\//.test(JSON.stringify(body.messages)));
    }
    for (const { path, text } of await filesOf(folder)) assert(!text.includes(KEY), path);
    assert(!first.out.includes(KEY) && !first.err.includes(KEY));

    // Nothing is done or paid for again, and people are shown a table.
    const again = await cli([...common, ...llm], env);
    assertEquals([again.code, server.seen.length], [0, asked], again.err);
    assertStringIncludes(again.out, "4.00 [4.00, 4.00]");
    assertStringIncludes(again.out, "adl 0, best of 2 (4): Baking");
    const other = await cli([...common, ...llm.slice(0, -4), "--llm-calls", "7"], env);
    assertStringIncludes(refusal(other), "it was made with another LLM, other budgets");
  });
});

Deno.test("evaluate: a folder for each organism, and one table", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/all`;
    const args = ["evaluate", "--organisms", "cake_bake,chat", ...await small(folder)];
    args.push("--agents", "adl,logitdiff", "--out", out);
    const shown = await cliJson(args);
    assertEquals(shown.grades, null);
    const [cake, chat] = shown.summaries;
    assertEquals([cake.organism, chat.organism], ["cake_bake", "chat"]);
    assertEquals(chat.summaries[0].recall, null, "a broad finetune has no topic");
    assertEquals(cake.summaries[0].chance.organisms, 3);
    assertEquals(JSON.parse(await Deno.readTextFile(`${out}/summaries.json`)), shown.summaries);
    const recalled = await reportOf(out);
    assertStringIncludes(recalled, 'href="cake_bake/report.html"');
    assertStringIncludes(recalled, "Recall by organism and evidence");
    assert(!recalled.includes("Grades by organism"), "none is a grade");
    assertStringIncludes(recalled, percent(cake.summaries[0].recall.word_precision));

    await using server = investigator();
    const llm = ["--llm-url", server.url, "--llm-model", "m", "--interactions", "0", "--runs", "1"];
    const graded = await cli([...args, ...llm]);
    assertEquals(graded.code, 0, graded.err);
    assertStringIncludes(graded.out, "Plot: ");
    assert(/all +adl +0 +2 +2 +4\.00/.test(graded.out), graded.out);
    const { all, organisms } = JSON.parse(await Deno.readTextFile(`${out}/grades.json`));
    assertEquals([all[0].organisms, all[0].runs, organisms.length], [2, 2, 2]);
    assert((await Deno.readTextFile(`${out}/grades.svg`)).startsWith("<svg"));

    const html = await reportOf(out);
    assertStringIncludes(html, "<title>Agents on 2 organisms");
    assertStringIncludes(html, "Grades by organism, agent and budget");
    assertStringIncludes(html, '<th scope="row">all</th><td>adl</td><td>0</td><td>2</td>');
    const grades = { part: "", file: "grades.json", step: "grades" };
    await assertFound(out, grades, (value) => value.all[0].mean.value = 5);
    await assertFound(out, grades, (value) => value.organisms[1].aggregates[0].answered = 0);
    const summaries = { part: "", file: "summaries.json", step: "summaries" };
    await assertFound(out, summaries, (value) => value[0].summaries[0].words.reverse());
    await forge(out, grades, (value) => value.organisms[0].organism = "../all/chat");
    const outside = refusal(await cli(["verify", out]));
    assertStringIncludes(outside, 'Cannot read "../all/chat/agent/evaluation.json"');
  });
});

Deno.test("agent and evaluate: refused before anything is loaded", async () => {
  const wrong: [string[], string][] = [
    [["agent", "--agents", "adl,blackbix"], "did you mean blackbox?"],
    [["agent", "--interactions", "five"], 'Cannot use interactions "five"'],
    [["agent", "--llm-url", "http://localhost:1/v1"], "add --llm-model"],
    [
      ["agent", "--base", "a", "--finetuned", "b", "--text", "t", "--description", "x"],
      "Missing --family",
    ],
    [["agent", "--from", "/nowhere"], "Cannot take differences from"],
    [["evaluate"], "--organisms"],
    [["evaluate", "--organisms", "cake_bake,cake_bake"], "Cannot use organism cake_bake twice"],
  ];
  for (const [args, message] of wrong) assertStringIncludes(refusal(await cli(args)), message);
});
