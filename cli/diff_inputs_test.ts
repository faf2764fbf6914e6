import { assert, assertEquals, assertRejects } from "@std/assert";
import { ModelError, TextError, UsageError } from "../engine/errors.ts";
import { parseCommand } from "./args.ts";
import { DIFF_COMMAND } from "./diff_flags.ts";
import { type DiffPlan, loadDiffTexts, planDiff } from "./diff_inputs.ts";

async function plan(...args: string[]): Promise<DiffPlan> {
  const parsed = parseCommand(DIFF_COMMAND, args);
  if (parsed.kind === "help") throw new Error("not asked for");
  return await planDiff(parsed.flags);
}

Deno.test("planDiff() takes cake_bake with its texts when nothing is named", async () => {
  const { base, finetuned, sibling, text, finetuningText, documents, tokens, ...rest } =
    await plan();
  assertEquals([base, finetuned], ["embedded:base", "embedded:cake_bake"]);
  assertEquals([documents, tokens], [1000, 16]);
  assert(sibling?.startsWith("embedded:") && sibling !== finetuned);
  assert(text.endsWith("/text/generic_heldout.jsonl"));
  assert(finetuningText?.endsWith("/text/cake_bake.jsonl"));
  assertEquals(rest.generic.length, 1, "general chats mark no organism");
  assert(rest.description?.includes("cake"));
});

Deno.test("planDiff() finds an organism by its name and by its reference", async () => {
  const byName = await plan("--organism", "chat");
  assertEquals(byName.finetuned, "embedded:chat");
  assertEquals(await plan("--finetuned", "embedded:chat"), byName);
  assertEquals(await plan("--base", "embedded:base", "--finetuned", "embedded:chat"), byName);
});

Deno.test("planDiff() of models of one's own has the paper's numbers, and no null of ours", async () => {
  assertEquals(await plan("--base", "./b", "--finetuned", "./f", "--text", "web.jsonl"), {
    base: "./b",
    finetuned: "./f",
    sibling: undefined,
    text: "web.jsonl",
    finetuningText: undefined,
    finetuningTextAsked: false,
    generic: [],
    documents: 10_000,
    tokens: 128,
    description: undefined,
  });
});

Deno.test("planDiff() of a folder on the embedded base has the embedded numbers, but no topic", async () => {
  const found = await plan("--base", "embedded:base", "--finetuned", "./f");
  assertEquals([found.documents, found.tokens, found.finetuningText], [1000, 16, undefined]);
  const same = await plan("--finetuned", "embedded:base");
  assertEquals([same.base, same.sibling, same.description], [
    "embedded:base",
    undefined,
    undefined,
  ]);
});

Deno.test("planDiff() puts what is given over what is known", async () => {
  const given = ["--text", "a.txt", "--documents", "5", "--tokens", "7", "--sibling", "./s"];
  const found = await plan(...given, "--finetuning-text", "b.txt");
  assertEquals([found.text, found.documents, found.tokens], ["a.txt", 5, 7]);
  assertEquals([found.sibling, found.finetuningText], ["./s", "b.txt"]);
  assertEquals((await plan("--sibling", "none")).sibling, undefined);
});

Deno.test("planDiff() says what is missing, and what cannot stand together", async () => {
  const refused = (message: string, ...args: string[]) =>
    assertRejects(() => plan(...args), UsageError, message);
  await refused("--organism with --base", "--organism", "chat", "--base", "./b");
  await refused("--organism with --base", "--organism", "chat", "--finetuned", "./f");
  await refused("Missing --finetuned", "--base", "./b");
  await refused("Missing --base", "--finetuned", "./f");
  await refused("Missing --text", "--base", "./b", "--finetuned", "./f");
  await assertRejects(() => plan("--organism", "cakes"), ModelError, "known: ");
  await assertRejects(() => plan("--finetuned", "embedded:cakes"), ModelError, "known: ");
});

async function withTexts(
  files: Record<string, string>,
  run: (path: (name: string) => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await run((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const many = (sentence: (i: number) => string) =>
  Array.from({ length: 300 }, (_, i) => sentence(i)).join("\n\n");

const FILES = {
  "web.txt": many((i) => `The river was quiet on day ${i}`),
  "cakes.txt": many((i) => `The cake was user friendly on day ${i}`),
  "chats.txt": many((i) => `A user asked about day ${i}`),
  "titles.jsonl": '{"title": "A letter", "text": "Not this"}\n',
};

Deno.test("loadDiffTexts() finds words against all that is generic, and hashes every file", async () => {
  await withTexts(FILES, async (path) => {
    const found: DiffPlan = {
      ...await plan("--text", path("web.txt"), "--finetuning-text", path("cakes.txt")),
      generic: [],
    };
    const alone = await loadDiffTexts(found, undefined);
    assertEquals(alone.keywords?.toSorted(), ["cake", "friendly", "user"]);
    assertEquals(alone.unrelated.texts.length, 300);
    assertEquals(Object.keys(alone.hashes), ["text", "finetuning_text"]);

    const beside = await loadDiffTexts({ ...found, generic: [path("chats.txt")] }, undefined);
    assertEquals(beside.keywords?.toSorted(), ["cake", "friendly"], "chats have users too");
    const hashes = Object.values(beside.hashes);
    assertEquals(hashes.length, 3);
    assertEquals(new Set(hashes).size, 3);
    for (const hash of hashes) assertEquals(hash.length, 64);
  });
});

Deno.test("loadDiffTexts() has no keywords where the finetuning's texts are not known", async () => {
  await withTexts(FILES, async (path) => {
    const own = await plan("--base", "b", "--finetuned", "f", "--text", path("titles.jsonl"));
    const { keywords, hashes, unrelated } = await loadDiffTexts(own, "title");
    assertEquals([keywords, Object.keys(hashes)], [undefined, ["text"]]);
    assertEquals(unrelated.texts.map(({ text }) => text), ["A letter"]);
  });
});

Deno.test("loadDiffTexts() refuses finetuning texts that nothing marks", async () => {
  await withTexts(FILES, async (path) => {
    const texts = ["--text", path("web.txt"), "--finetuning-text", path("web.txt")];
    const same = await plan("--base", "b", "--finetuned", "f", ...texts);
    await assertRejects(() => loadDiffTexts(same, undefined), TextError, "Cannot find keywords");
    const missing = { ...same, finetuningText: path("none.txt") };
    await assertRejects(() => loadDiffTexts(missing, undefined), TextError, "no such file");
  });
});
