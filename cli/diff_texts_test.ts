import { assertEquals, assertRejects } from "@std/assert";
import { TextError } from "../engine/errors.ts";
import { Chat } from "../engine/text/chat.ts";
import { Tokenizer } from "../engine/text/tokenizer.ts";
import { bosRule } from "../lens/bos_rule.ts";
import { plainRule } from "../lens/documents.ts";
import { parseCommand } from "./args.ts";
import { DIFF_COMMAND } from "./diff_flags.ts";
import { type DiffPlan, planDiff } from "./diff_inputs.ts";
import { type DiffTextOptions, documentRule, loadDiffTexts } from "./diff_texts.ts";

async function plan(...args: string[]): Promise<DiffPlan> {
  const parsed = parseCommand(DIFF_COMMAND, args);
  if (parsed.kind === "help") throw new Error("not asked for");
  return await planDiff(parsed.flags);
}

/** One token a character. */
const letters = { encode: (text: string) => Array.from(text, (letter) => letter.codePointAt(0)!) };

const OPTIONS: DiffTextOptions = {
  rule: plainRule(letters, 8),
  chat: false,
  seed: null,
  hub: () => Promise.reject(new Error("the Hub was asked")),
};

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
    const alone = await loadDiffTexts(found, OPTIONS);
    assertEquals(alone.keywords?.toSorted(), ["cake", "friendly", "user"]);
    assertEquals([alone.selection.tokens.length, alone.selection.missing], [300, 700]);
    assertEquals(Object.keys(alone.hashes), ["text", "finetuning_text"]);

    const beside = await loadDiffTexts({ ...found, generic: [path("chats.txt")] }, OPTIONS);
    assertEquals(beside.keywords?.toSorted(), ["cake", "friendly"], "chats have users too");
    const hashes = Object.values(beside.hashes);
    assertEquals(hashes.length, 3);
    assertEquals(new Set(hashes).size, 3);
    for (const hash of hashes) assertEquals(String(hash).length, 64);
  });
});

Deno.test("loadDiffTexts() has no keywords where the finetuning's texts are not known", async () => {
  await withTexts(FILES, async (path) => {
    const own = await plan("--base", "b", "--finetuned", "f", "--text", path("titles.jsonl"));
    const { keywords, hashes, selection } = await loadDiffTexts(own, {
      ...OPTIONS,
      column: "title",
    });
    assertEquals([keywords, Object.keys(hashes)], [undefined, ["text"]]);
    assertEquals(selection.tokens.map((ids) => String.fromCodePoint(...ids)), ["A letter"]);
  });
});

Deno.test("loadDiffTexts() refuses finetuning texts that nothing marks", async () => {
  await withTexts(FILES, async (path) => {
    const texts = ["--text", path("web.txt"), "--finetuning-text", path("web.txt")];
    const same = await plan("--base", "b", "--finetuned", "f", ...texts);
    await assertRejects(() => loadDiffTexts(same, OPTIONS), TextError, "Cannot find keywords");
    const missing = { ...same, finetuningText: path("none.txt") };
    await assertRejects(() => loadDiffTexts(missing, OPTIONS), TextError, "no such file");
  });
});

Deno.test("loadDiffTexts() records which parts of a Parquet file were read", async () => {
  const text = new URL("../tests/fixtures/parquet/text_groups.parquet", import.meta.url).pathname;
  const own = await plan("--base", "b", "--finetuned", "f", "--text", text, "--documents", "5");
  const { selection, hashes } = await loadDiffTexts(own, { ...OPTIONS, seed: 3 });
  assertEquals(selection.tokens.length, 5);
  const [file, ...others] = (hashes.text as { files: Record<string, unknown>[] }).files;
  assertEquals([file.file, file.row_groups, others.length], [text, [1], 0]);
  assertEquals(String(file.sha256).length, 64);
});

const BASE = new URL("../models/embedded/base/", import.meta.url);
const readJson = (name: string) => JSON.parse(Deno.readTextFileSync(new URL(name, BASE)));

Deno.test("documents are texts, or chats with the positions before the answer", () => {
  const config = readJson("tokenizer_config.json");
  const tokenizer = Tokenizer.fromJson(readJson("tokenizer.json"), config, "base");
  const sizes = { tokens: 4, maxPositions: 256 };
  assertEquals(documentRule(tokenizer, { ...sizes, chats: null }).firstPosition, 0);
  const chats = new Chat(tokenizer, config.chat_template);
  assertEquals(documentRule(tokenizer, { ...sizes, chats }).firstPosition, -3);
  const asked = chats.render([{ role: "user", content: "Hi" }], { addGenerationPrompt: true });
  assertEquals(tokenizer.decode(asked), "<|bos|><|user|>Hi<|end|><|assistant|>");
});

Deno.test("loadDiffTexts() of the beginning alone asks for no text", async () => {
  const own = await plan("--base", "b", "--finetuned", "f", "--bos-only");
  const { selection, ...rest } = await loadDiffTexts(own, { ...OPTIONS, rule: bosRule(7) });
  assertEquals([selection.tokens, selection.positions], [[Uint32Array.of(7)], 1]);
  assertEquals([selection.firstPosition, selection.missing], [0, 0]);
  assertEquals(rest, { hashes: {} });
  await withTexts(FILES, async (path) => {
    const texts = ["--text", path("web.txt"), "--finetuning-text", path("cakes.txt")];
    const asked = await plan("--base", "b", "--finetuned", "f", "--bos-only", ...texts);
    const found = await loadDiffTexts(asked, { ...OPTIONS, rule: bosRule(7) });
    assertEquals(found.selection.tokens, [Uint32Array.of(7)]);
    assertEquals(found.keywords?.includes("cake"), true);
  });
});
