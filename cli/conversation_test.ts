import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { plainChat } from "./chat_format.ts";
import { Conversation } from "./conversation.ts";

/** A "tokenizer" with one id a character. */
function conversation(context: number, room: number, system?: string): Conversation {
  const write = (messages: readonly { content: string }[]) =>
    messages.flatMap(({ content }) => [...content].map((letter) => letter.charCodeAt(0)));
  return new Conversation({ write, context, room, system });
}

function text(ids: number[]): string {
  return String.fromCharCode(...ids);
}

Deno.test("Conversation asks with all that was said before, the system message first", () => {
  const chat = conversation(100, 10, "S");
  const first = chat.ask("q1");
  assertEquals(text(first.ids), "Sq1");
  chat.answered(first, "a1");
  const second = chat.ask("q2");
  assertEquals([text(second.ids), second.dropped], ["Sq1a1q2", 0]);
  assertEquals(text(chat.ask("q3").ids), "Sq1a1q3", "what was not answered was not said");
});

Deno.test("Conversation drops its oldest turns, question and answer, as far as it must", () => {
  const chat = conversation(12, 5, "S");
  chat.answered(chat.ask("q1"), "a1");
  assertEquals(text(chat.ask("q2").ids), "Sq1a1q2", "just fits");
  chat.answered(chat.ask("q2"), "a2");
  const third = chat.ask("q3");
  assertEquals([text(third.ids), third.dropped], ["Sq2a2q3", 1]);
  chat.answered(third, "a3");
  const long = chat.ask("q4 long");
  assertEquals([text(long.ids), long.dropped], ["Sq4 long", 2]);
});

Deno.test("Conversation lets an answer have less room than it may want, but not none", () => {
  assertEquals(conversation(10, 5).ask("123456789").ids.length, 9);
  const error = assertThrows(() => conversation(10, 5).ask("1234567890"), UsageError);
  assertEquals(
    error.message,
    "Cannot ask that: it takes 10 tokens, and the model's context is 10; ask something shorter",
  );
});

Deno.test("Conversation forgets everything but the system message", () => {
  const chat = conversation(100, 10, "S");
  chat.answered(chat.ask("q1"), "a1");
  chat.reset();
  assertEquals(text(chat.ask("q2").ids), "Sq2");
});

Deno.test("plainChat() writes who says what, up to the answer", () => {
  const chat = [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hi" },
    { role: "assistant", content: " Hello. " },
    { role: "user", content: "Bye" },
  ];
  assertEquals(
    plainChat(chat),
    "Be brief.\n\nUser: Hi\nAssistant: Hello.\nUser: Bye\nAssistant:",
  );
});
