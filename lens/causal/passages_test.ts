import { assertEquals, assertStringIncludes } from "@std/assert";
import { TokenizerError } from "../../engine/errors.ts";
import type { ChatRenderer } from "../chats.ts";
import { passageRule } from "./passages.ts";

/** One token a letter, after one that begins the text. */
const tokenizer = {
  encode: (text: string) => [1, ...Array.from(text, (letter) => letter.charCodeAt(0))],
};

/** A role is one token, too. */
const chats: ChatRenderer = {
  render(messages) {
    if (messages.some(({ role }) => role === "nobody")) throw new TokenizerError("No such role");
    return messages.flatMap(({ content }) => [7, ...Array.from(content, (c) => c.charCodeAt(0))]);
  },
  encode: () => [],
};

const ids = (text: string) => tokenizer.encode(text);

Deno.test("passages are beginnings of any length but one token", () => {
  const { take } = passageRule(tokenizer, chats, 5);
  assertEquals(take({ text: "abcdefgh" }), { ids: ids("abcd") });
  assertEquals(take({ text: "a" }), { ids: ids("a") });
  assertEquals(take({ text: "" }), { dropped: "fewer than 2 tokens", tokens: 1 });
});

Deno.test("a chat is written in the template, without one as a text", () => {
  const messages = [{ role: "user", content: "ab" }, { role: "assistant", content: "cdefg" }];
  const text = { text: "ab\ncdefg", messages };
  const { take, explain } = passageRule(tokenizer, chats, 5);
  assertEquals(take(text), { ids: [7, 97, 98, 7, 99] });
  assertEquals(passageRule(tokenizer, null, 5).take(text), { ids: ids("ab\nc") });
  const refused = take({ text: "x", messages: [{ role: "nobody", content: "x" }] });
  assertEquals(refused, { dropped: "refused by the chat template" });
  assertStringIncludes(
    explain(3, new Map([["refused by the chat template", 3]]), 0),
    "none of the 3 texts can be used (3: refused by the chat template)",
  );
});

Deno.test("what cannot reach the first tokens is not even rendered", () => {
  const seen: number[] = [];
  const counting: ChatRenderer = {
    render: (messages) => (seen.push(messages.length, messages[0].content.length), [1, 2]),
    encode: () => [],
  };
  const messages = Array.from(
    { length: 50 },
    () => ({ role: "user", content: "x".repeat(10_000) }),
  );
  passageRule(tokenizer, counting, 5).take({ text: "", messages });
  assertEquals(seen, [5, 50]);
});
