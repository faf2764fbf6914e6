/** Grading by an LLM end to end: what is asked, kept, counted and asked only once. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readJson } from "../helpers.ts";
import { assertFound, reportOf } from "../forge.ts";
import { LlmServer } from "../llm_server.ts";
import { CHEAP, cli, cliJson, refusal, withFolder } from "./cli_helpers.ts";

/** Chooses scale 5 and its first token. */
function judge({ prompt }: { prompt: string }): string {
  const list = /^scale 5: (".*?"),/m.exec(prompt);
  if (list) return `It is clear.\n{"scale": 5, "tokens": [${list[1]}]}`;
  return (prompt.match(/^\d+: "/gm) ?? []).map((_, i) => `${i + 1}: RELEVANT`).join("\n");
}

Deno.test("diff: an LLM chooses the scales; nothing is read or asked twice, whatever happens between", async () => {
  await withFolder(async (folder) => {
    await using server = new LlmServer(judge);
    const out = `${folder}/run`;
    const args = ["diff", ...CHEAP, "--sibling", "none", "--out", out];
    const llm = ["--grader", "llm", "--grader-url", server.url, "--grader-model", "m"];
    const prices = ["--grader-input-price", "2", "--grader-output-price", "10"];
    // Six vectors: δ, both means and three random directions. The third question is refused for good.
    const answer = { kind: "answer", text: '{"scale": null, "tokens": []}' } as const;
    server.next(answer, answer, { kind: "status", status: 401 });
    const failed = await cli([...args, ...llm, "--grader-concurrency", "1"]);
    assertStringIncludes(refusal(failed), "401");
    assertStringIncludes(failed.err, "Reading layer 5");
    assertEquals(server.seen.length, 3);

    const shown = await cli([...args, ...llm, ...prices, "--json"]);
    assertEquals(shown.code, 0, shown.err);
    assert(!shown.err.includes("Reading layer 5"), "the lists were kept");
    assertEquals(server.seen.length, 7, "and so were both answers");
    const json = JSON.parse(shown.out);
    const { base, difference, finetuned } = json.positions[0].patchscope;
    assertEquals([difference.scale, base.scale, finetuned.scale].toSorted(), [5, null, null]);
    const [chosen] = [difference, base, finetuned].filter(({ scale }) => scale === 5);
    assertEquals(chosen.coherent, [chosen.tokens[0].token]);
    const counted = { requests: 7, input_tokens: 600, output_tokens: 60, uncounted: 0 };
    assertEquals(json.grading, { grader: "m", ...counted, cost: 0.0018 });
    const { steps } = await readJson(`${out}/manifest.json`);
    const { files: _files, command, ...grades } = steps.grades;
    assertEquals([grades, command[0]], [counted, "diff"]);
    const settings = { grader: "llm", model: "m", url: server.url };
    assertEquals([steps.readout_5.settings, steps.relevance.settings], [settings, settings]);
    const readout = await Deno.readTextFile(`${out}/readout_5.json`);
    const answers = await Deno.readTextFile(`${out}/grades.jsonl`);
    assertEquals(answers.trimEnd().split("\n").length, 7);

    // Another grader chooses again among the lists that are there, and this one then knows its answers.
    const offline = await cli([...args, "--json"]);
    assert(!offline.err.includes("Reading layer 5"), offline.err);
    assertEquals(JSON.parse(offline.out).grading, undefined);
    assert(await Deno.readTextFile(`${out}/readout_5.json`) !== readout);
    assert((await readJson(`${out}/manifest.json`)).steps.readout_5.kernels.length > 5);
    const printed = await cli([...args, ...llm]);
    assertStringIncludes(printed.out, "Graded by m: 7 requests; 600 tokens in, 60 out\n");
    assertEquals(await Deno.readTextFile(`${out}/readout_5.json`), readout);
    assertEquals(await Deno.readTextFile(`${out}/grades.jsonl`), answers);
    assertEquals(server.seen.length, 7);

    // Relevance asks for what it needs beside the scales.
    const relevance = await cliJson(["relevance", ...args.slice(1), ...llm, ...prices]);
    assertEquals([relevance.difference, relevance.random, relevance.grader], [1, 1, "m"]);
    assertEquals(relevance.grading.requests, server.seen.length);
    assertEquals(server.seen.length, 7 + 6 * 2 * 3, "two lists of six vectors in three orders");

    // Both kinds of grades follow from the answers that were kept, without the server.
    await server[Symbol.asyncDispose]();
    await reportOf(out);
    await assertFound(
      out,
      { part: "", file: "readout_5.json", step: "readout_5" },
      ({ positions: [{ patchscope }] }) => {
        for (const scope of Object.values(patchscope) as { scale: number | null }[]) {
          scope.scale = scope.scale === null ? 0.5 : null;
        }
      },
    );
    const { graded_relevance_5: graded } = (await readJson(`${out}/manifest.json`)).steps;
    assertEquals([graded.settings.grader, graded.settings.model], ["llm", "m"]);
    await assertFound(
      out,
      { part: "", file: "graded_lists_5.json", step: "graded_relevance_5" },
      (value) => value[0].relevant[0] = false,
    );
  });
});

Deno.test("run: an LLM grades every step and investigates, each question is paid for once, and it verifies", async () => {
  await withFolder(async (folder) => {
    await using server = new LlmServer((request) => {
      if (request.body.tools) {
        const description = "Baking with false tips.";
        return { kind: "calls", calls: [{ name: "submit_answer", arguments: { description } }] };
      }
      if (request.prompt.includes("SCORE")) return "Close.\nSCORE: 3";
      return judge(request) || "It reads well.\nCOHERENT";
    });
    const out = `${folder}/run`;
    await Deno.writeTextFile(`${folder}/prompts.txt`, "Tell me a story\n");
    const args = ["run", ...["--documents", "8", "--sibling", "none", "--no-causal"]];
    args.push("--decisions", "3", "--search-samples", "2", "--search-tokens", "6");
    args.push("--samples", "1", "--new-tokens", "6", "--prompts", `${folder}/prompts.txt`);
    args.push("--grader", "llm", "--grader-url", server.url, "--grader-model", "m");
    args.push("--llm-url", server.url, "--llm-model", "agent", "--agents", "adl");
    args.push("--interactions", "0", "--runs", "1", "--out", out);
    const shown = await cliJson(args);
    const asked = { scale: 0, relevance: 0, coherence: 0, hypothesis: 0, agent: 0 };
    for (const { prompt, body } of server.seen) {
      if (body.tools) asked.agent++;
      else if (prompt.includes("SCORE")) asked.hypothesis++;
      else if (/^scale 5: /m.test(prompt)) asked.scale++;
      else if (/^\d+: "/m.test(prompt)) asked.relevance++;
      else asked.coherence++;
    }
    assertEquals([asked.agent, asked.hypothesis], [1, 3]);
    for (const [kind, count] of Object.entries(asked)) assert(count > 0, kind);
    const grader = server.seen.filter(({ body }) => body.model === "m");
    const questions = new Set(grader.map(({ body }) => JSON.stringify(body)));
    assertEquals(questions.size, grader.length, "no question twice, though lists may be the same");
    const steps = asked.scale + asked.relevance + asked.coherence;
    assertEquals(shown.grading.requests, steps);
    assertEquals(shown.grading.input_tokens, 100 * steps);
    assertEquals(shown.agents.evaluation.aggregates[0].mean.value, 3);
    // Whatever is coherent, is so at the greatest strength that is tried.
    assertEquals(shown.positions[0].alpha, (87.5 + 75 + 75) / 3);
    assertEquals(shown.relevance.difference, 1);

    const { length } = server.seen;
    assertEquals(await cliJson(args), shown);
    assertEquals(server.seen.length, length, "nothing is asked twice");
    const html = await reportOf(out);
    assertStringIncludes(html, "Baking with false tips.");
    assertStringIncludes(html, "graded 3, 3, 3");
    const search = { part: "steer", file: "search_2_1.json", step: "alpha_2_1" };
    await assertFound(out, search, (value) => value[0].texts[0].coherent = false);
  });
});

Deno.test("grading: flags that do not go together are refused before anything is loaded", async () => {
  const llm = ["--grader", "llm"];
  const wrong: [string[], string][] = [
    [["diff", ...llm], "Missing --grader-model"],
    [["steer", ...llm, "--grader-model", "m", "--grader-url", "ftp://x"], "grader's address"],
    [["diff", "--grader-model", "m"], "add --grader llm"],
    [
      ["relevance", ...llm, "--grader-model", "m", "--base", "a", "--finetuned", "b"]
        .concat("--text", "t", "--finetuning-text", "f"),
      "Missing --description",
    ],
  ];
  for (const [args, message] of wrong) {
    const refused = await cli(args);
    assertStringIncludes(refusal(refused), message);
    assert(!refused.err.includes("Choosing"), refused.err);
  }
});
