/** Grading by an LLM end to end: what is asked, kept, counted and asked only once. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readJson } from "../helpers.ts";
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
