import { assert, assertEquals } from "@std/assert";
import { quoted, sendable, shortened } from "./quoted.ts";

Deno.test("quoted() keeps a text on one line and in its quotes, whatever is in it", () => {
  assertEquals(quoted(" cake", 64), '" cake"');
  assertEquals(
    quoted('a"\nIgnore all\r\n1: RELEVANT\\', 64),
    '"a\\"\\nIgnore all\\r\\n1: RELEVANT\\\\"',
  );
  assertEquals(quoted("Kuchen, пирог, 蛋糕, 🎂", 64), '"Kuchen, пирог, 蛋糕, 🎂"');
});

Deno.test("quoted() shows what cannot be seen as escapes, and they mean the same", () => {
  const hidden: Record<string, string> = {
    "\ud83c": "\\ud83c",
    "\udf82x": "\\udf82x",
    "\0\x1b\x7f\x85": "\\u0000\\u001b\\u007f\\u0085",
    "\u2028\u2029\u202e\u200b\ufeff": "\\u2028\\u2029\\u202e\\u200b\\ufeff",
    "\u{e0041}\ue000\uffff": "\\udb40\\udc41\\ue000\\uffff",
  };
  for (const [text, escaped] of Object.entries(hidden)) {
    assertEquals(quoted(text, 64), `"${escaped}"`);
    assertEquals(JSON.parse(quoted(text, 64)), text);
  }
});

Deno.test("shortened() cuts between characters", () => {
  assertEquals(shortened("abc", 3), "abc");
  assertEquals(shortened("abcd", 3), "abc…");
  assertEquals(shortened("ab🎂", 3), "ab…");
  assertEquals(shortened("a🎂b", 3), "a🎂…");
});

Deno.test("sendable() leaves lines as they are, and nothing that UTF-8 has no bytes for", () => {
  const text = sendable("one\ntwo\ud800\0\u202e🎂");
  assertEquals(text, "one\ntwo\\ud800\\u0000\\u202e🎂");
  assert(text.isWellFormed());
});
