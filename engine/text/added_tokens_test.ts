import { assertEquals } from "@std/assert";
import { AddedTokens, overlaps } from "./added_tokens.ts";

const PLAIN = { normalized: false, lstrip: false, rstrip: false, singleWord: false };
const token = (id: number, content: string, traits = {}) =>
  [content, { ...PLAIN, id, content, special: true, ...traits }] as const;

/** Sections, as text with the id of those that are tokens. */
function split(tokens: Iterable<ReturnType<typeof token>>, text: string, special = true) {
  const sections = new AddedTokens(tokens).split(text, () => special);
  assertEquals(sections.map((section) => section.text).join(""), text);
  for (const { text: part, start } of sections) assertEquals(text.startsWith(part, start), true);
  return sections.map(({ text, token }) => token ? `${token.id}:${text}` : text);
}

Deno.test("the longest token that begins first is found", () => {
  const tokens = [token(1, "<a"), token(2, "<a>"), token(3, "a>b"), token(4, "")];
  assertEquals(split(tokens, "x<a>b<a<a>"), ["x", "2:<a>", "b", "1:<a", "2:<a>"]);
  assertEquals(split(tokens, ""), []);
  assertEquals(split([], "x"), ["x"]);
});

Deno.test("special tokens count where they are let, the others everywhere", () => {
  const tokens = [token(1, "<s>"), token(2, "\n\n", { special: false })];
  assertEquals(split(tokens, "<s>\n\n<s>a", false), ["<s>", "2:\n\n", "<s>a"]);
  const sections = new AddedTokens(tokens).split("<s><s>", (start) => start === 3);
  assertEquals(sections.map(({ start, token }) => [start, token?.id]), [[0, undefined], [3, 1]]);
});

Deno.test("a token may take the white space beside it", () => {
  const tokens = [token(1, "<l>", { lstrip: true }), token(2, "<r>", { rstrip: true })];
  assertEquals(split(tokens, "a \n<l> b"), ["a", "1: \n<l>", " b"]);
  assertEquals(split(tokens, "a <r>\u0085 b"), ["a ", "2:<r>\u0085 ", "b"]);
  // What one has taken is gone for the next.
  assertEquals(split(tokens, "<r> <l>"), ["2:<r> ", "1:<l>"]);
});

Deno.test("a token that must be a word does not touch letters", () => {
  const tokens = [token(1, "ab", { singleWord: true })];
  assertEquals(split(tokens, "ab xab abx 𓅆ab ab𓅆 ab_ (ab)"), [
    "1:ab",
    " xab abx 𓅆ab ab𓅆 ab_ (",
    "1:ab",
    ")",
  ]);
});

Deno.test("overlaps() finds the span that is touched", () => {
  const spans = [[2, 4], [7, 8], [10, 13]] as const;
  const touched = Array.from({ length: 14 }, (_, i) => overlaps(spans, i, i + 1) ? 1 : 0).join("");
  assertEquals(touched, "00110001001110");
  assertEquals([overlaps(spans, 4, 7), overlaps(spans, 0, 14), overlaps([], 0, 1)], [
    false,
    true,
    false,
  ]);
});
