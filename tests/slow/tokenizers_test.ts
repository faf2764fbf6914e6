/** Real tokenizers and chat templates against Hugging Face's own libraries; tests/tokenizers/make_cases.py made the cases. */

import { assert, assertEquals } from "@std/assert";
import { Chat } from "../../engine/text/chat.ts";
import { type ChatMessage, chatTemplateSource } from "../../engine/text/chat_template.ts";
import { TokenStream } from "../../engine/text/token_stream.ts";
import { Tokenizer } from "../../engine/text/tokenizer.ts";
import { tokenizerFiles } from "../tokenizers/packages.ts";

interface Inputs {
  texts: string[];
  chats: ChatMessage[][];
}

/** What make_cases.py writes; keys of `plain`, `decoded`, `skipped` are places in the list of texts. */
interface Cases {
  sha256: Record<string, string>;
  framed: number[];
  ids: number[][];
  plain: Record<number, number[]>;
  decoded: Record<number, string>;
  skipped: Record<number, string>;
  sequences: { ids: number[]; text: string; skipped: string }[];
  vocabSize: number;
  names: Record<number, string>;
  namesSha256: string;
  aloneSha256: string;
  chats: {
    chat: number;
    prompt: boolean;
    thinking: boolean;
    text: string;
    ids: number[];
    huggingFace?: number[];
  }[];
}

const read = (name: string) =>
  JSON.parse(Deno.readTextFileSync(new URL(`../tokenizers/${name}.json`, import.meta.url)));
const { texts, chats }: Inputs = read("texts");

async function digest(values: string[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(values));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

function streamed(tokenizer: Tokenizer, ids: number[], skipSpecial: boolean): string {
  const stream = new TokenStream(tokenizer, { skipSpecial });
  return ids.map((id) => stream.push(id)).join("") + stream.end();
}

function checkTexts(tokenizer: Tokenizer, cases: Cases): void {
  for (const [i, text] of texts.entries()) {
    const ids = cases.ids[i];
    const name = JSON.stringify(text);
    assertEquals(tokenizer.encode(text, { special: false }), ids, name);
    const plain = tokenizer.encode(text, { special: false, parseSpecial: false });
    assertEquals(plain, cases.plain[i] ?? ids, `${name} as plain text`);
    assert(plain.every((id) => !tokenizer.specialIds.has(id)), `${name} as plain text`);
    const full = cases.decoded[i] ?? text.toWellFormed();
    assertEquals(tokenizer.decode(ids), full);
    assertEquals(tokenizer.decode(ids, { skipSpecial: true }), cases.skipped[i] ?? full);
    assertEquals(streamed(tokenizer, ids, false), full);
  }
}

function checkSequences(tokenizer: Tokenizer, cases: Cases): void {
  for (const { ids, text, skipped } of cases.sequences) {
    assertEquals(tokenizer.decode(ids), text, `${ids}`);
    assertEquals(tokenizer.decode(ids, { skipSpecial: true }), skipped, `${ids}`);
    assertEquals(streamed(tokenizer, ids, false), text, `${ids}`);
    assertEquals(streamed(tokenizer, ids, true), skipped, `${ids}`);
  }
}

async function checkTokens(tokenizer: Tokenizer, cases: Cases): Promise<void> {
  assertEquals(tokenizer.vocabSize, cases.vocabSize);
  for (const [id, name] of Object.entries(cases.names)) {
    assertEquals(tokenizer.tokenText(Number(id)), name, `token ${id}`);
  }
  const ids = Array.from({ length: cases.vocabSize }, (_, id) => id);
  assertEquals(await digest(ids.map((id) => tokenizer.tokenText(id))), cases.namesSha256);
  assertEquals(await digest(ids.map((id) => tokenizer.decode([id]))), cases.aloneSha256);
}

function checkChats(tokenizer: Tokenizer, template: string, cases: Cases): void {
  const chat = new Chat(tokenizer, template);
  let masked = 0;
  for (const { chat: index, prompt, thinking, text, ids, huggingFace } of cases.chats) {
    const options = { addGenerationPrompt: prompt, thinking };
    assertEquals(chat.text(chats[index], options), text);
    assertEquals(chat.render(chats[index], options), ids, text);
    if (!huggingFace) continue;
    masked++;
    assertEquals(tokenizer.encode(text, { special: false }), huggingFace, text);
  }
  assert(masked > 0 && cases.chats.length >= 2 * chats.length);
}

for (const name of ["qwen2_5", "qwen3", "llama3_2", "gemma3"]) {
  Deno.test(`${name}: texts, tokens and chats are Hugging Face's`, async (test) => {
    const cases: Cases = read(name);
    const files = await tokenizerFiles(name, cases.sha256);
    const config = files["tokenizer_config.json"] as Record<string, unknown>;
    const tokenizer = Tokenizer.fromJson(files["tokenizer.json"], config, name);
    await test.step("texts", () => checkTexts(tokenizer, cases));
    await test.step("a text alone begins as the model expects", () => {
      assertEquals(tokenizer.encode("a", { special: true }), cases.framed);
    });
    await test.step("sequences that no text has", () => checkSequences(tokenizer, cases));
    await test.step("every token", () => checkTokens(tokenizer, cases));
    await test.step("chats", () => {
      checkChats(tokenizer, chatTemplateSource(config.chat_template)!, cases);
    });
  });
}

Deno.test("gemma3: long words take no more than their length", async () => {
  const { sha256 }: Cases = read("gemma3");
  const files = await tokenizerFiles("gemma3", sha256);
  const tokenizer = Tokenizer.fromJson(files["tokenizer.json"], null, "gemma3");
  // All of a text is one word to Gemma. In quadratic time this would be a minute.
  const text = "The same words, over and over. ".repeat(4000);
  const ids = tokenizer.encode(text, { special: false, parseSpecial: false });
  assertEquals(tokenizer.decode(ids), text);
});
