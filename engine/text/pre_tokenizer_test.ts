import { assertEquals } from "@std/assert";
import { portablePreTokenizer } from "./pre_tokenizer.ts";
import { Tokenizer } from "./tokenizer.ts";

/** The words that a pre-tokenizer makes of `text`; those of the vocabulary are single tokens. */
function words(pre_tokenizer: unknown, text: string, vocabulary: string[]): string[] {
  const model = { vocab: Object.fromEntries(vocabulary.map((word, i) => [word, i])) };
  const tokenizer = Tokenizer.fromJson({ model, pre_tokenizer }, {}, "words");
  return tokenizer.encode(text, { special: false }).map((id) => vocabulary[id]);
}

const split = (behavior: string, pattern: object, invert = false) => ({
  type: "Split",
  pattern,
  behavior,
  invert,
});

// The examples of Hugging Face's documentation of SplitDelimiterBehavior.
Deno.test("Split knows every behaviour", () => {
  const text = "the-final--countdown";
  const check = (behavior: string, expected: string[]) => {
    for (const pattern of [{ String: "-" }, { Regex: "-" }]) {
      assertEquals(words(split(behavior, pattern), text, [...new Set(expected)]), expected);
    }
  };
  check("Removed", ["the", "final", "countdown"]);
  check("Isolated", ["the", "-", "final", "-", "-", "countdown"]);
  check("Contiguous", ["the", "-", "final", "--", "countdown"]);
  check("MergedWithPrevious", ["the-", "final-", "-", "countdown"]);
  check("MergedWithNext", ["the", "-final", "-", "-countdown"]);
});

Deno.test("Split takes a text literally, and an inverted Isolated keeps everything", () => {
  assertEquals(words(split("Contiguous", { String: "." }), "a..b", ["a", "..", "b"]), [
    "a",
    "..",
    "b",
  ]);
  assertEquals(words(split("Isolated", { Regex: "b" }, true), "abc", ["a", "b", "c"]), [
    "a",
    "b",
    "c",
  ]);
});

Deno.test("Metaspace cuts before each mark, unless split is false", () => {
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "first" };
  assertEquals(words(metaspace, "a b  c", ["▁a", "▁b", "▁", "▁c"]), ["▁a", "▁b", "▁", "▁c"]);
  assertEquals(words({ ...metaspace, split: false }, "a b", ["▁a▁b"]), ["▁a▁b"]);
});

Deno.test("Digits are numbers of every script", () => {
  const digits = { type: "Digits", individual_digits: true };
  assertEquals(words(digits, "a1٣½", ["a", "1", "٣", "½"]), ["a", "1", "٣", "½"]);
  const runs = { type: "Digits", individual_digits: false };
  assertEquals(words(runs, "a1٣b", ["a", "1٣", "b"]), ["a", "1٣", "b"]);
});

Deno.test("ByteLevel's words end at Unicode's white space", () => {
  const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: true };
  // U+0085 is white space to Unicode and not to JavaScript, U+FEFF the other way round.
  assertEquals(words(bytes, "!\u0085a", ["!", "ÂħĠ", "Âħ", "a"]), ["!", "Âħ", "a"]);
  assertEquals(words(bytes, "!\ufeff", ["!ï»¿"]), ["!ï»¿"]);
});

Deno.test("what is read right stays as it is", () => {
  const gpt4 = {
    type: "Sequence",
    pretokenizers: [
      split("Isolated", { Regex: "\\s+" }),
      { type: "ByteLevel", add_prefix_space: false, use_regex: false },
    ],
  };
  for (const config of [gpt4, null, { type: "Punctuation" }, "odd", split("Removed", {})]) {
    assertEquals(portablePreTokenizer(config), config);
  }
});
