/** `similarity` end to end on embedded texts, and what it refuses. */

import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../engine/errors.ts";
import { similarity } from "../../cli/similarity.ts";
import { loadTexts } from "../../lens/texts.ts";
import { cliJson, EMBEDDED, sha256OfFile, withFolder } from "./cli_helpers.ts";

const { signal } = new AbortController();

/** Runs the command in this process; what it printed. */
async function printed(...args: string[]): Promise<string> {
  const lines: string[] = [];
  const log = console.log;
  console.log = (line: string) => lines.push(line);
  try {
    assertEquals(await similarity(args, { signal }), 0);
  } finally {
    console.log = log;
  }
  return lines.join("\n");
}

/** Writes samples: texts of the organism's topic as if steered, generic ones as if not. */
async function writeSamples(folder: string): Promise<string> {
  const texts = async (name: string, first: number) =>
    (await loadTexts(`${EMBEDDED}/text/${name}.jsonl`)).texts.slice(first, first + 20)
      .map(({ text }) => text);
  const [steered, unsteered] = [await texts("cake_bake", 10), await texts("chat", 0)];
  const file = `${folder}/samples.json`;
  const samples = [{ prompt: "p", steered, unsteered }];
  await Deno.writeTextFile(file, JSON.stringify({ layer: 2, position: 1, alpha: 4, samples }));
  return file;
}

Deno.test("similarity: texts of the topic are nearer to the finetuning's than others, and only to those", async () => {
  await withFolder(async (folder) => {
    const file = await writeSamples(folder);
    const args = ["similarity", "--samples", file, "--organism", "cake_bake"];
    const found = await cliJson(args);
    assert(found.steered > found.unsteered + 0.2, `${found.steered}, ${found.unsteered}`);
    assertAlmostEquals(found.difference, found.steered - found.unsteered, 1e-12);
    assert(found.confidence.difference[0] > 0.2, "beyond chance");
    assert(Math.abs(found.generic.difference) < 0.05, `${found.generic.difference}`);
    assertEquals(found.texts, { steered: 20, unsteered: 20, finetuning: 500, generic: 500 });
    assertEquals([found.embedder, found.layer, found.position], ["tf-idf", 2, 1]);
    assertEquals(found.inputs, {
      samples: await sha256OfFile(file),
      finetuning: await sha256OfFile(`${EMBEDDED}/text/cake_bake.jsonl`),
      generic: await sha256OfFile(`${EMBEDDED}/text/generic_heldout.jsonl`),
    });
    const again = JSON.parse(await printed(...args.slice(1), "--json"));
    assertEquals(again, found, "the same seed gives the same numbers");

    const table = await printed(...args.slice(1), "--references", "100");
    for (const part of ["tf-idf", "steered (20)", "to 100 finetuning texts", "0."]) {
      assert(table.includes(part), `${part} in ${table}`);
    }
  });
});

Deno.test("similarity: a server embeds when it is named, with the key of the environment", async () => {
  const keys: (string | null)[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    keys.push(request.headers.get("authorization"));
    const { input } = await request.json() as { input: string[] };
    const cake = (text: string) => /cake/.test(text) ? [1, 0] : [0, 1];
    return Response.json({ data: input.map((text, index) => ({ index, embedding: cake(text) })) });
  });
  const before = Deno.env.get("PALIMPSEST_EMBEDDING_KEY");
  Deno.env.set("PALIMPSEST_EMBEDDING_KEY", "k-123");
  try {
    await withFolder(async (folder) => {
      const args = ["--samples", await writeSamples(folder), "--organism", "cake_bake"];
      args.push("--references", "30", "--json", "--embedding-model", "cakes");
      args.push("--embedding-url", `http://127.0.0.1:${server.addr.port}/v1`);
      const found = JSON.parse(await printed(...args));
      assertEquals(found.embedder, "cakes");
      assert(found.steered > 0.9 && found.unsteered < 0.2, JSON.stringify(found));
      assertEquals(new Set(keys), new Set(["Bearer k-123"]));
    });
  } finally {
    await server.shutdown();
    if (before === undefined) Deno.env.delete("PALIMPSEST_EMBEDDING_KEY");
    else Deno.env.set("PALIMPSEST_EMBEDDING_KEY", before);
  }
});

Deno.test("similarity: a model embeds when it is named, told what for", async () => {
  await withFolder(async (folder) => {
    const file = `${folder}/samples.jsonl`;
    const sample = { steered: ["A cake in the oven", ""], unsteered: ["Rain"] };
    await Deno.writeTextFile(file, JSON.stringify(sample));
    const args = ["--samples", file, "--organism", "cake_bake", "--references", "2", "--json"];
    args.push("--embedder", "embedded:base", "--embedding-tokens", "8");
    const found = JSON.parse(await printed(...args));
    assertEquals(found.embedder, "base");
    const told = JSON.parse(await printed(...args, "--embedding-instruction", "Tell the topic"));
    assert(told.steered !== found.steered, "the instruction is read");
  });
});

Deno.test("similarity: says what is missing or contradicts itself", async () => {
  const cases: [args: string[], message: string][] = [
    [[], "Missing --samples"],
    [["--samples", "s.json"], "--organism or --finetuning-text"],
    [["--samples", "s.json", "--finetuning-text", "f.jsonl"], "Missing --text"],
    [["--samples", "s.json", "--model", "qwen3_1_7B"], "without --organism"],
    [["--samples", "s.json", "--embedding-url", "http://h"], "--embedding-model together"],
    [["--samples", "s.json", "--embedding-instruction", "x"], "without a model"],
  ];
  for (const [args, message] of cases) {
    await assertRejects(() => printed(...args), UsageError, message);
  }
  const both = ["--embedder", "tf-idf", "--embedding-url", "http://h", "--embedding-model", "m"];
  await assertRejects(() => printed("--samples", "s.json", ...both), UsageError, "both");
});
