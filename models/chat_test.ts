import { assertEquals, assertRejects } from "@std/assert";
import { ModelError, TokenizerError } from "../engine/errors.ts";
import { Tokenizer } from "../engine/text/tokenizer.ts";
import { findChatTemplate, loadChat, stopIds } from "./chat.ts";
import { resolveSource } from "./source.ts";

const FILE = {
  model: { type: "BPE", vocab: { a: 0, "<|end|>": 1 }, merges: [] },
  added_tokens: ["<s>", "<|im_end|>", "<end_of_turn>"].map((content, i) => ({
    id: 10 + i,
    content,
    special: content !== "<end_of_turn>",
  })),
};
const tokenizer = Tokenizer.fromJson(FILE, { eos_token: "<s>" }, "x");

/** Calls `body` with the source of a folder of these files. */
async function withFiles<T>(
  files: Record<string, unknown>,
  body: (source: Awaited<ReturnType<typeof resolveSource>>) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, value] of Object.entries({ "config.json": {}, ...files })) {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    return await body(await resolveSource(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the template's own file comes before those that hold one", async () => {
  const files = {
    "chat_template.jinja": "own",
    "tokenizer_config.json": { chat_template: [{ name: "default", template: "config" }] },
    "chat_template.json": { chat_template: "json" },
  };
  assertEquals(await withFiles(files, findChatTemplate), "own");
  const { "chat_template.jinja": _, ...others } = files;
  assertEquals(await withFiles(others, findChatTemplate), "config");
  assertEquals(
    await withFiles({ ...others, "tokenizer_config.json": {} }, findChatTemplate),
    "json",
  );
  assertEquals(await withFiles({ "tokenizer_config.json": null }, findChatTemplate), undefined);
});

Deno.test("loadChat() writes chats, and says that a model has no template", async () => {
  const files = { "chat_template.jinja": "{{ messages[0]['content'] }}" };
  const chat = await withFiles(files, (source) => loadChat(source, tokenizer));
  assertEquals(chat.render([{ role: "user", content: "aa" }]), [0, 0]);
  await assertRejects(
    () => withFiles({}, (source) => loadChat(source, tokenizer)),
    TokenizerError,
    "it has no chat template",
  );
  const malformed = { "tokenizer_config.json": "{" };
  await assertRejects(() => withFiles(malformed, findChatTemplate), ModelError, "not valid JSON");
});

Deno.test("stopIds() gathers what ends a text", async () => {
  const ids = async (
    files: Record<string, unknown>,
    ...options: unknown[]
  ) => [...await withFiles(files, (source) => stopIds(source, ...options as [Tokenizer]))];
  const generation = { "generation_config.json": { eos_token_id: [1, 106] } };
  assertEquals(await ids(generation), [1, 106]);
  assertEquals(await ids({ ...generation, "config.json": { eos_token_id: 2 } }, tokenizer), [
    1,
    106,
    2,
    10,
  ]);
  const multimodal = { "config.json": { text_config: { eos_token_id: [3] }, eos_token_id: null } };
  assertEquals(await ids(multimodal), [3]);
  // An end of turn counts if the vocabulary has it as a special token.
  assertEquals(await ids({}, tokenizer, { chat: true }), [10, 11]);
  assertEquals(await ids({ "generation_config.json": { eos_token_id: ["x", -1, 1.5, null] } }), []);
});

Deno.test("the embedded base ends at its own tokens", async () => {
  assertEquals([...await stopIds(await resolveSource("embedded:base"))], [2, 5]);
});
