import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { TokenizerError, UsageError } from "../engine/errors.ts";
import type { ChatMessage } from "../engine/text/chat_template.ts";
import { type ChatRenderer, chatRule } from "./chats.ts";
import type { Taken } from "./documents.ts";
import type { Text } from "./text_record.ts";

/** One id a character. */
const ids = (text: string) => Array.from(text, (character) => character.codePointAt(0)!);
const textOf = (taken: Taken) =>
  "ids" in taken ? String.fromCodePoint(...taken.ids) : `dropped: ${taken.dropped}`;

/** Writes `<u>question<a>answer.`, with what a template may do besides. */
function renderer({ refuses, trims, thinks }: {
  refuses?: string;
  trims?: boolean;
  thinks?: boolean;
} = {}): ChatRenderer & { seen: (readonly ChatMessage[])[] } {
  const seen: (readonly ChatMessage[])[] = [];
  return {
    seen,
    render(messages, { addGenerationPrompt }) {
      seen.push(messages);
      const written = messages.map(({ role, content }) => {
        if (content === refuses) throw new TokenizerError("the template says: no");
        return role === "user" ? `<u>${content}` : `<a>${trims ? content.trim() : content}.`;
      });
      return ids(written.join("") + (addGenerationPrompt ? thinks ? "<a>[]" : "<a>" : ""));
    },
    encode: ids,
  };
}

const chat = (...turns: [string, string][]): Text => ({
  text: "",
  messages: turns.map(([role, content]) => ({ role, content })),
});

const OPTIONS = { tokens: 4, maxPositions: 10_000 };

Deno.test("the first user turn and the beginning of its answer, through the template", () => {
  const rule = chatRule(renderer(), OPTIONS);
  const later: [string, string][] = [["user", "more?"], ["assistant", "no, no, no"]];
  const taken = rule.take(chat(["user", "why?"], ["assistant", "because"], ...later));
  assertEquals(textOf(taken), "<u>why?<a>beca");
  assertEquals([rule.positions, rule.firstPosition], [7, -3], "<a> is −3 to −1, b is 0");
});

Deno.test("a system message is left out, so that no template refuses it", () => {
  const write = renderer();
  const taken = chatRule(write, OPTIONS)
    .take(chat(["system", "be brief"], ["user", "why?"], ["assistant", "because"]));
  assertEquals(textOf(taken), "<u>why?<a>beca");
  assertEquals(write.seen.flat().some(({ role }) => role === "system"), false);
});

Deno.test("where a finished answer does not continue the prompt, its own text does", () => {
  const taken = chatRule(renderer({ thinks: true }), OPTIONS)
    .take(chat(["user", "why?"], ["assistant", "because"]));
  assertEquals(textOf(taken), "<u>why?<a>[]beca");
});

Deno.test("chats that cannot be used are dropped, each with its reason", () => {
  const rule = chatRule(renderer({ refuses: "bad", trims: true }), OPTIONS);
  const reason = (...turns: [string, string][]) => {
    const taken = rule.take(chat(...turns));
    return "dropped" in taken ? [taken.dropped, taken.tokens] : taken;
  };
  const noTurn = ["without a user turn that is followed by an answer", undefined];
  assertEquals(reason(), noTurn);
  assertEquals(reason(["assistant", "hello there"]), noTurn);
  assertEquals(reason(["user", "why?"]), noTurn);
  assertEquals(reason(["user", "why?"], ["user", "why?"], ["assistant", "because"]), noTurn);
  assertEquals(rule.take({ text: "no chat at all" }), { dropped: noTurn[0] });
  const short = "with too short an answer";
  assertEquals(reason(["user", "why?"], ["assistant", "yes"]), [short, 3]);
  assertEquals(reason(["user", "why?"], ["assistant", "     "]), [short, 1], "trimmed away");
  const refused = ["refused by the chat template", undefined];
  assertEquals(reason(["user", "bad"], ["assistant", "because"]), refused);
  // <u> and <a> are six of the 512.
  assertEquals(
    textOf(rule.take(chat(["user", "x".repeat(506)], ["assistant", "long"]))).length,
    516,
  );
  const long = ["with too long a prompt", undefined];
  assertEquals(reason(["user", "x".repeat(507)], ["assistant", "long"]), long);
  assertEquals(reason(["user", "x".repeat(100_000)], ["assistant", "long"]), long);
});

Deno.test("prompts leave room for the answer in the model's context", () => {
  const rule = chatRule(renderer(), { tokens: 4, maxPositions: 14 });
  assertEquals(textOf(rule.take(chat(["user", "why?"], ["assistant", "because"]))).length, 14);
  const longer = chat(["user", "why??"], ["assistant", "because"]);
  assertEquals(rule.take(longer), { dropped: "with too long a prompt" });
  const none = () => chatRule(renderer(), { tokens: 12, maxPositions: 14 });
  assertThrows(none, UsageError, "--tokens 12");
});

Deno.test("of an answer only its beginning is tokenised", () => {
  const encoded: number[] = [];
  const write = { ...renderer(), encode: (text: string) => (encoded.push(text.length), ids(text)) };
  chatRule(write, OPTIONS).take(chat(["user", "why?"], ["assistant", "x".repeat(100_000)]));
  assertEquals(encoded, [40]);
});

Deno.test("when none can be used, the message counts the reasons and passes on the template's", () => {
  const rule = chatRule(renderer({ refuses: "bad" }), OPTIONS);
  rule.take(chat(["user", "bad"], ["assistant", "because"]));
  const dropped = new Map([["with too short an answer", 2], ["refused by the chat template", 1]]);
  const message = rule.explain(3, dropped, 3);
  assertStringIncludes(message, "none of the 3 chats can be used: 2 with too short an answer; 1");
  assertStringIncludes(message, "(longest answer: 3 tokens, see --tokens; the template says: no)");
});

Deno.test("errors that are not the template's are not hidden", () => {
  const broken = { ...renderer(), render: () => fail() };
  const fail = () => {
    throw new RangeError("a bug");
  };
  const take = () => chatRule(broken, OPTIONS).take(chat(["user", "q"], ["assistant", "because"]));
  assertThrows(take, RangeError, "a bug");
});
