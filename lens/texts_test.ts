import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { TextError } from "../engine/errors.ts";
import { type LoadOptions, loadTexts } from "./texts.ts";

/** Writes `content` to a temporary file called `name` and loads it. */
async function load(name: string, content: string | Uint8Array, options?: LoadOptions) {
  const folder = await Deno.makeTempDir();
  try {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${folder}/${name}`, bytes);
    return await loadTexts(`${folder}/${name}`, options);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("jsonl: texts and chats, blank lines, CRLF, a byte order mark and no last line end", async () => {
  const file = await load(
    "a.jsonl",
    '\uFEFF{"text":"één\\nb","id":1}\r\n\n{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}',
  );
  assertEquals(file.texts.map((t) => t.text), ["één\nb", "q\na"]);
  assertEquals(file.texts[0].messages, undefined);
  assertEquals(file.texts[1].messages?.[1], { role: "assistant", content: "a" });
  assertEquals(file.format, "jsonl");
});

Deno.test("the file's sha256 is that of its bytes", async () => {
  const { sha256 } = await load("a.txt", "abc");
  assertEquals(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

Deno.test("txt: blank lines separate documents", async () => {
  const file = await load("a.TXT", "\n\none\ntwo\n \t\r\n\nthree\n");
  assertEquals(file.texts.map((t) => t.text), ["one\ntwo", "three"]);
});

Deno.test("lines longer than a read, and characters cut by one, are whole", async () => {
  const long = "é".repeat(300_001);
  const file = await load("a.jsonl", `{"text":"x${long}"}\n{"text":"b"}\n`);
  assertEquals(file.texts.map((t) => t.text.length), [300_002, 1]);
});

async function gzip(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("gz: each format may be compressed; the hash is that of the file as it is stored", async () => {
  const packed = await gzip('{"text":"one"}\n{"text":"two"}\n');
  const file = await load("a.jsonl.gz", packed);
  assertEquals([file.format, file.texts], ["jsonl", [{ text: "one" }, { text: "two" }]]);
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(packed));
  assertEquals(file.sha256, new Uint8Array(digest).toHex());
  assertEquals((await load("a.txt.gz", await gzip("one\n\ntwo"))).texts.length, 2);

  const cut = await assertRejects(() => load("a.txt.gz", packed.slice(0, -12)), TextError);
  assertStringIncludes(cut.message, "is not a whole gzip file");
  await assertRejects(() => load("a.txt.gz", "plain"), TextError, "gzip");
});

Deno.test("json: an array of objects", async () => {
  const file = await load("a.json", '\uFEFF[{"text":"one"},{"messages":[]}]');
  assertEquals(file.texts, [{ text: "one" }, { text: "", messages: [] }]);
  await assertRejects(() => load("a.json", '{"text":"x"}\n{"text":"y"}'), TextError, ".jsonl");
  await assertRejects(() => load("a.json", '{"text":"x"}'), TextError, "not a JSON array");
  await assertRejects(() => load("a.json", '[{"text":"x"},7]'), TextError, "record 1 of");
});

Deno.test("chats: ShareGPT's names, messages without content, and no text beside them", async () => {
  const chat =
    '{"from":"human","value":"q"},{"from":"gpt","value":null},{"from":"tool","value":"t"}';
  const line = `{"conversations":[${chat}],"text":"not this"}`;
  const [{ messages, text }] = (await load("a.jsonl", line, { chat: true })).texts;
  assertEquals(messages, [
    { role: "user", content: "q" },
    { role: "assistant", content: "" },
    { role: "tool", content: "t" },
  ]);
  assertEquals(text, "q\n\nt");
  assertEquals((await load("a.jsonl", line)).texts, [{ text: "not this" }]);
  const none = load("a.jsonl", '{"text":"x"}', { chat: true });
  await assertRejects(() => none, TextError, 'no column "messages" or "conversations"');
});

Deno.test("a dot leads into a field's own fields, unless it is part of a name", async () => {
  const line = '{"meta":{"body":"inner"},"meta.title":"outer","text":null}';
  const of = async (column?: string) => (await load("a.jsonl", line, { column })).texts[0].text;
  assertEquals([await of("meta.body"), await of("meta.title"), await of()], ["inner", "outer", ""]);
  await assertRejects(() => of("meta.body.x"), TextError, 'no column "meta.body.x"');
});

Deno.test("a column and a format can be named", async () => {
  const file = await load("a.data", '{"body":"x","text":"y"}', { format: "jsonl", column: "body" });
  assertEquals(file.texts, [{ text: "x" }]);
});

Deno.test("files that cannot be used are TextErrors that say where", async () => {
  const cases: [string, string | Uint8Array, LoadOptions, string][] = [
    ["a.jsonl", "", {}, "is empty"],
    ["a.txt", " \n\n", {}, "is empty"],
    ["a.jsonl", '{"text":"x"}\n{"text":', {}, "line 2 of"],
    ["a.jsonl", "[1]", {}, "not a JSON object"],
    ["a.jsonl", '{"a":1,"b":2}', {}, '(its columns: "a", "b")'],
    ["a.jsonl", '{"text":"x"}', { column: "toString" }, 'no column "toString"'],
    ["a.jsonl", '{"text":7}', {}, "neither a text nor"],
    ["a.jsonl", '{"messages":[{"role":"user"}]}', {}, "neither a text nor"],
    ["a.txt", Uint8Array.of(0x61, 0x0a, 0xff, 0xfe), {}, "line 2 of"],
    ["a.csv", "x", {}, "supported: .jsonl, .json, .txt, each also with .gz, and .parquet"],
    ["a.parquet.gz", "x", {}, 'extension ".gz" is not known'],
    ["a.parquet", "x", {}, "a Parquet file"],
  ];
  for (const [name, content, options, part] of cases) {
    const error = await assertRejects(() => load(name, content, options), TextError);
    assertStringIncludes(error.message, part);
  }
  await assertRejects(() => loadTexts("/nowhere/a.txt"), TextError, "no such file");
  const folder = await Deno.makeTempDir({ suffix: ".txt" });
  await assertRejects(() => loadTexts(folder), TextError);
  await Deno.remove(folder);
});
