/** `diff` end to end: which models, layers and positions. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CHEAP, cli, cliJson, EMBEDDED, readTensors, refusal, withFolder } from "./cli_helpers.ts";

// deno-lint-ignore no-explicit-any
const positionsOf = (layer: any) => layer.positions.map((at: any) => at.position);

Deno.test("diff: an organism by its name, by reference and by folders is the same", async () => {
  await withFolder(async (folder) => {
    const text = `${EMBEDDED}/text/generic_heldout.jsonl`;
    const model = `${EMBEDDED}/organisms/cake_bake`;
    const ways = [
      ["--organism", "cake_bake"],
      ["--finetuned", "embedded:cake_bake"],
      ["--base", `${EMBEDDED}/base`, "--finetuned", model, "--text", text],
    ];
    const found = [];
    for (const [i, way] of ways.entries()) {
      const out = `${folder}/${i}`;
      const json = await cliJson(["diff", ...way, ...CHEAP, "--sibling", "none", "--out", out]);
      found.push({ json, bytes: await Deno.readFile(`${out}/diff.safetensors`) });
    }
    const [organism, reference, folders] = found;
    assertEquals(reference.bytes, organism.bytes);
    assertEquals(folders.bytes, organism.bytes);
    assertEquals(reference.json.relevance, organism.json.relevance);
    assertEquals(folders.json.positions, organism.json.positions);
    assertEquals(folders.json.relevance, null, "no finetuning text is known of a folder");
  });
});

Deno.test("diff: several layers, each with its readout", async () => {
  await withFolder(async (out) => {
    const flags = ["--documents", "4", "--tokens", "8", "--sibling", "none", "--out", out];
    const json = await cliJson(["diff", ...flags, "--layers", "0.8,1", "--positions", "1,3"]);
    // deno-lint-ignore no-explicit-any
    assertEquals(json.layers.map((layer: any) => layer.layer), [4, 5]);
    assertEquals(json.layers.map(positionsOf), [[1, 3], [1, 3]]);
    assertEquals([json.layer, json.positions], [4, json.layers[0].positions]);
    assert(json.layers[1].positions[0].delta_norm > json.positions[0].delta_norm);

    const tensors = await readTensors(`${out}/diff.safetensors`);
    assertEquals([...tensors.get("blocks.5.hook_resid_post.delta")!.shape], [8, 192]);
    const layers = new Set([...tensors.keys()].map((name) => name.split(".")[1]));
    assertEquals([...layers].sort(), ["4", "5"]);
  });
});

Deno.test("diff: a full checkpoint, read beside its sibling", async () => {
  await withFolder(async (out) => {
    const json = await cliJson(["diff", "--organism", "cake_bake_full", ...CHEAP, "--out", out]);
    const [at] = json.positions;
    assert(at.delta_norm > 0);
    assertEquals(Object.keys(at.logit_lens).sort(), ["base", "difference", "finetuned"]);
    const kept = JSON.parse(await Deno.readTextFile(`${out}/readout_${json.layer}.json`));
    assertEquals(kept.positions[0].logit_lens.sibling.top.length, 100);
    assert(json.relevance.sibling >= 0);
    const names = await Array.fromAsync(Deno.readDir(out), (entry) => entry.name);
    assert(names.includes("sibling.safetensors"));
  });
});

Deno.test("diff: two identical models have no difference, and the table says so", async () => {
  await withFolder(async (out) => {
    const args = ["diff", "--finetuned", "embedded:base", ...CHEAP, "--out", out];
    const { code, out: table, err } = await cli(args);
    assertEquals(code, 0, err);
    assertStringIncludes(table, "no difference");
    const { positions, relevance } = await cliJson(args);
    assertEquals([positions[0].delta_norm, positions[0].relative_norm], [0, 0]);
    assertEquals(Object.keys(positions[0].logit_lens).sort(), ["base", "finetuned"]);
    assertEquals(relevance, null);
    const delta = (await readTensors(`${out}/diff.safetensors`))
      .get("blocks.5.hook_resid_post.delta")!;
    assert(delta.values.every((value) => value === 0));
  });
});

Deno.test("diff: a text of another column is another run", async () => {
  await withFolder(async (folder) => {
    const lines = ["one", "two", "three"].map((word) =>
      JSON.stringify({ text: `The ${word} oven is hot`, title: `A ${word} letter from afar` })
    );
    await Deno.writeTextFile(`${folder}/texts.jsonl`, lines.join("\n"));
    const flags = ["--documents", "3", "--tokens", "4", "--layers", "1", "--positions", "2"];
    const where = ["--text", `${folder}/texts.jsonl`, "--out", `${folder}/run`];
    const args = ["diff", ...flags, ...where, "--sibling", "none"];
    await cliJson([...args, "--column", "text"]);
    const other = await cli([...args, "--column", "title"]);
    assertEquals(other.code, 1);
    assertStringIncludes(refusal(other), 'belong to another run (column "text", not "title")');
  });
});
