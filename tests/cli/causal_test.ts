/** `causal` end to end. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cli, cliJson, EMBEDDED, readTensors, refusal, withFolder } from "./cli_helpers.ts";

const FEW = ["--documents", "2", "--tokens", "24"];
const SMALL = [...FEW, "--controls", "3"];
const DELTA = ["--delta-documents", "8"];

Deno.test("causal: δ is measured or taken from a diff, and one seed is one result", async () => {
  await withFolder(async (folder) => {
    const args = ["causal", ...SMALL, "--positions", "1,2"];
    const json = await cliJson([...args, ...DELTA, "--out", `${folder}/a`]);
    assertEquals([json.layer, json.position, json.mode, json.subject], [2, 1, "base", "finetuned"]);
    assertEquals(json.positions.map(({ position }: { position: number }) => position), [1, 2]);
    for (const set of ["finetuning", "generic"]) {
      const { tokens, loss, intervened, random, random_difference, after_20 } = json.sets[set];
      assert(tokens > after_20.tokens && after_20.tokens > 0, set);
      assert(loss > 0 && intervened > 0 && loss !== intervened, set);
      assertEquals([random.count, random_difference.count], [3, 3]);
      assert(random.low <= random.mean && random.mean <= random.high, set);
    }
    const tensors = await readTensors(`${folder}/a/diff.safetensors`);
    assertEquals([...tensors.get("blocks.2.hook_resid_post.delta")!.shape], [16, 192]);

    // What is finished is read back; δ from that folder is the same δ.
    const again = await cli([...args, ...DELTA, "--out", `${folder}/a`]);
    assertEquals(again.code, 0, again.err);
    assert(!again.err.includes("Measuring losses"), "nothing is measured again");
    assertStringIncludes(again.out, "Tokens after the 20th");
    assertMatch(again.out, /finetuning +1 +\d+ +\d\.\d{3} +[+-]\d\.\d{4} +\[/);
    const from = await cliJson([...args, "--from", `${folder}/a`, "--out", `${folder}/b`]);
    assertEquals({ ...from, results: "" }, { ...json, results: "" });
    for (const name of ["causal_2_base.json", "causal_2_base_documents.json"]) {
      const [a, b] = [`${folder}/a/${name}`, `${folder}/b/${name}`];
      assertEquals(await Deno.readFile(b), await Deno.readFile(a), name);
    }

    const other = await cli([...args, ...DELTA, "--out", `${folder}/a`, "--seed", "1"]);
    assertStringIncludes(refusal(other), "belong to another run");
    const wrong: [string[], string][] = [
      [["--layers", "1"], "Cannot take the differences of layer 5"],
      [["--organism", "chat"], "its finetuned model is cake_bake"],
      [["--positions", "16"], "the difference at position 16: there are those of 0 to 15"],
    ];
    for (const [flags, message] of wrong) {
      const run = ["causal", ...SMALL, "--from", `${folder}/a`, "--out", `${folder}/c`, ...flags];
      assertStringIncludes(refusal(await cli(run)), message);
    }
  });
});

Deno.test("causal: chats, the component removed, and the base in the finetuned model's place", async () => {
  await withFolder(async (folder) => {
    const out = (name: string) => ["--out", `${folder}/${name}`];
    const texts = `${EMBEDDED}/text/taboo_smile.jsonl`;
    const ways = [
      {
        flags: ["--organism", "taboo_smile", "--mode", "zero", "--controls", "1"],
        is: ["zero", "finetuned"],
      },
      {
        flags: ["--finetuned", `${EMBEDDED}/organisms/taboo_smile`, "--base", "embedded:base"]
          .concat("--finetuning-text", texts, "--reverse", "--controls", "0"),
        is: ["base", "base"],
      },
    ];
    const found = [];
    for (const [i, { flags, is }] of ways.entries()) {
      const json = await cliJson(["causal", ...FEW, ...DELTA, ...flags, ...out(`${i}`)]);
      assertEquals([json.mode, json.subject], is);
      found.push(json.sets.finetuning);
    }
    const [organism, reversed] = found;
    assertEquals(organism.tokens, reversed.tokens, "the same chats, in the same template");
    assertEquals([organism.random.count, reversed.random], [1, null]);
    assert(organism.loss < reversed.loss, "the finetuned model knows its texts better");
  });
});

Deno.test("causal: refused before anything is loaded", async () => {
  const wrong: [string[], string][] = [
    [["--layers", "0,1"], "it is one layer at a time"],
    [["--tokens", "4000"], "Cannot use --tokens 4000: the model's context is"],
    [["--from", "/nowhere"], 'Cannot take differences from "/nowhere"'],
    [["--from", "x", "--delta-documents", "5"], "Cannot use --delta-documents with --from"],
    [
      ["--base", "embedded:base", "--finetuned", `${EMBEDDED}/organisms/chat`],
      "Missing --finetuning-text",
    ],
    [["--mode", "half"], "it is one of base, zero"],
    [["--positions", "-1"], "expected numbers and ranges from 0"],
  ];
  for (const [flags, message] of wrong) {
    assertStringIncludes(refusal(await cli(["causal", ...flags])), message);
  }
});
