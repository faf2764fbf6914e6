/** `run` and `mixing` end to end: all steps in one folder, once. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { percent, signed } from "../../lens/report/format.ts";
import { assertFound, reportOf } from "../forge.ts";
import { cli, cliJson, EMBEDDED, refusal, sha256OfFile, withFolder } from "./cli_helpers.ts";

const STEERING = ["--alpha", "2", "--samples", "1", "--new-tokens", "6"];
const SMALL = ["--documents", "8", "--causal-documents", "2", "--controls", "2"];

/** Hashes of all files under a folder by their paths, but for manifests, which say what a run took, and for locks. */
async function resultFiles(folder: string, within = ""): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const entries = await Array.fromAsync(Deno.readDir(`${folder}/${within}`));
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (["manifest.json", ".lock"].includes(name)) continue;
    if (isDirectory) {
      for (const [path, hash] of await resultFiles(folder, `${within}${name}/`)) {
        files.set(path, hash);
      }
    } else files.set(within + name, await sha256OfFile(`${folder}/${within}${name}`));
  }
  return files;
}

/** One prompt in place of twenty. */
async function onePrompt(folder: string): Promise<string[]> {
  await Deno.writeTextFile(`${folder}/prompts.txt`, "Tell me a story\n");
  return ["--prompts", `${folder}/prompts.txt`];
}

Deno.test("run: every step in one folder, which a second run reads back", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/all`;
    const prompts = await onePrompt(folder);
    const args = ["run", "--sibling", "none", ...SMALL, ...STEERING, ...prompts, "--out", out];
    const { agents, ...summary } = await cliJson(args);
    assertEquals(agents.evaluation, null);
    assertEquals(agents.summariser.summaries.length, 3);
    assertEquals([summary.base, summary.finetuned], ["embedded:base", "embedded:cake_bake"]);
    assertEquals([summary.layer, summary.documents, summary.left_out], [2, 8, []]);
    assertEquals(Object.keys(summary.relevance), ["difference", "base", "finetuned", "random"]);
    const [{ position, alpha, relative_norm, similarity, causal }] = summary.positions;
    assertEquals([summary.positions.length, position, alpha], [1, 1, 2]);
    assert(relative_norm > 0.01 && relative_norm < 1, `${relative_norm}`);
    assertEquals(similarity.difference, similarity.steered - similarity.unsteered);
    const { change, change_interval: [low, high], loss } = causal.finetuning;
    assert(low <= change && change <= high && loss > 0, JSON.stringify(causal));

    const read = async (name: string) => JSON.parse(await Deno.readTextFile(`${out}/${name}`));
    assertEquals(await read("summary.json"), summary);
    assertEquals((await read("steer/steer_2_1.json")).alpha, 2);
    assertEquals(
      (await read("causal/causal_2_base.json")).positions[0].sets.generic.tokens > 0,
      true,
    );
    assertEquals((await read("similarity.json")).positions[0].steered, similarity.steered);

    const html = await Deno.readTextFile(`${out}/report.html`);
    assertStringIncludes(html, '<section id="causal"');
    const verified = await cliJson(["verify", out]);
    assertEquals([verified.ok, verified.report, verified.problems], [true, true, []]);

    const again = await cli([...args, "--organism", "embedded:cake_bake", "--json"]);
    assertEquals(await Deno.readTextFile(`${out}/report.html`), html);
    assertEquals(JSON.parse(again.out), { ...summary, agents }, again.err);
    for (const label of ["Comparing", "Steering", "Measuring"]) {
      assert(!again.err.includes(label), `${label} is not done again`);
    }
    const { out: text } = await cli(args);
    assertMatch(text, /Position 1\n +difference +norm/);
    for (const file of ["diff/readout_2", "steer/steer_2_1", "causal/causal_2_base"]) {
      assertStringIncludes(text, `${file}.json`);
      await Deno.stat(`${out}/${file}.json`);
    }
    assertStringIncludes(refusal(await cli([...args, "--seed", "1"])), "(seed 0, not 1)");

    // The same seed gives the same bytes, of every step.
    const before = await resultFiles(out);
    for (const step of ["diff", "steer", "causal", "agent"]) {
      assert([...before.keys()].some((name) => name.startsWith(`${step}/`)), step);
    }
    await Deno.rename(out, `${folder}/first`);
    await cliJson(args);
    const after = await resultFiles(out);
    assertEquals([...after.keys()], [...before.keys()]);
    for (const [name, hash] of before) assertEquals(after.get(name), hash, name);

    // A changed byte is found in every one of them.
    for (const name of before.keys()) {
      const bytes = await Deno.readFile(`${out}/${name}`);
      bytes[bytes.length >> 1] ^= 1;
      await Deno.writeFile(`${out}/${name}`, bytes);
    }
    const { code, out: found } = await cli(["verify", out, "--json"]);
    const named = new Set(JSON.parse(found).problems.map(({ file }: { file: string }) => file));
    assertEquals(code, 1);
    assertEquals([...before.keys()].filter((name) => !named.has(name)), []);
  });
});

Deno.test("run: what cannot be done is said and left out", async () => {
  await withFolder(async (folder) => {
    const args = ["run", "--base", "embedded:base", "--finetuned", `${EMBEDDED}/organisms/chat`];
    args.push("--text", `${EMBEDDED}/text/generic_heldout.jsonl`, "--documents", "4");
    args.push("--no-steer", "--out", `${folder}/all`);
    const { code, out, err } = await cli([...args, "--json"]);
    assertEquals(code, 0, err);
    const { relevance, positions: [at], left_out } = JSON.parse(out);
    assertEquals([relevance, at.alpha, at.similarity, at.causal], [null, null, null, null]);
    assertEquals(
      left_out.map(({ step }: { step: string }) => step),
      ["relevance", "steering", "similarity", "causal effect", "agents"],
    );
    assertStringIncludes(err, "Leaving out: causal effect (the finetuning's texts are not known");
  });
});

Deno.test("run and mixing: refused before anything is loaded", async () => {
  const wrong: [string[], string][] = [
    [["run", "--layers", "all"], "it is one layer at a time"],
    [["run", "--layers", "0,1"], "it is one layer at a time"],
    [["run", "--organism", "nothing"], "nothing"],
    [["mixing", "--ratios", "0,3"], 'Cannot use ratio "3": there are 0, 0.1, 0.5, 1, 2'],
  ];
  for (const [args, message] of wrong) assertStringIncludes(refusal(await cli(args)), message);
});

Deno.test("mixing: a row and a point for each ratio, one strength for all", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/mixing`;
    const args = ["mixing", "--ratios", "2,0", "--sibling", "none", ...SMALL, "--no-steer"];
    args.push("--out", out);
    const found = await cliJson(args);
    assertEquals(found.rows.map(({ ratio }: { ratio: number }) => ratio), [0, 2]);
    const [pure, mixed] = found.rows;
    assert(pure.relative_norm > mixed.relative_norm, "mixing shrinks the difference");
    for (const { relevance, similarity, causal } of found.rows) {
      assert(relevance >= 0 && relevance <= 1);
      assertEquals(similarity, null);
      assert(Number.isFinite(causal.generic.change));
    }
    assertEquals(JSON.parse(await Deno.readTextFile(`${out}/mixing.json`)), found);
    const svg = await Deno.readTextFile(`${out}/mixing.svg`);
    const lines = 1 + 3 + 2;
    assertEquals(svg.match(/<circle/g)?.length, 2 * lines, "norm, relevance, loss");
    const again = await cli(args);
    assertEquals(again.code, 0, again.err);
    assert(!/Comparing|Measuring/.test(again.err), "nothing is measured again");
    assertStringIncludes(again.out, "mixing.svg");

    const html = await reportOf(out);
    assertStringIncludes(html, '<section id="mixing"');
    assertStringIncludes(html, `<td>${percent(mixed.relative_norm)}</td>`);
    assertStringIncludes(html, signed(mixed.causal.generic.change, 4));
    await assertFound(
      out,
      { part: "", file: "mixing.json", step: "mixing" },
      (value) => value.rows[1].relative_norm *= 0.9,
    );
  });
});
