import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { TokenizerError } from "../errors.ts";
import { textBytes } from "./token_text.ts";
import { Tokenizer } from "./tokenizer.ts";

const embedded = new URL("../../models/embedded/", import.meta.url);
const readJson = (path: string) => JSON.parse(Deno.readTextFileSync(new URL(path, embedded)));
const json = readJson("base/tokenizer.json");
const config = readJson("base/tokenizer_config.json");
const base = Tokenizer.fromJson(json, config, "base");

/** A byte-level or metaspace tokenizer with the given vocabulary and nothing to merge. */
function tiny(vocab: string[], parts: Record<string, unknown> = {}) {
  return {
    added_tokens: [],
    model: { type: "BPE", vocab: Object.fromEntries(vocab.map((t, i) => [t, i])), merges: [] },
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    decoder: { type: "ByteLevel" },
    ...parts,
  };
}

/** Sequences in sequences. */
function nested(depth: number): unknown {
  let config: unknown = null;
  for (let i = 0; i < depth; i++) config = { type: "Sequence", pretokenizers: [config] };
  return config;
}

/** Every [text, probability, id] that the reference holds, at any depth. */
function referencePairs(value: unknown, found = new Map<number, string>()): Map<number, string> {
  if (!Array.isArray(value)) {
    if (value && typeof value === "object") {
      for (const inner of Object.values(value)) referencePairs(inner, found);
    }
    return found;
  }
  const [text, probability, id] = value;
  if (value.length === 3 && typeof text === "string" && typeof probability === "number") {
    found.set(id, text);
  } else for (const inner of value) referencePairs(inner, found);
  return found;
}

Deno.test("tokenText agrees with every token named in the reference", () => {
  const pairs = referencePairs(readJson("reference.json"));
  assert(pairs.size > 300, `only ${pairs.size} pairs found`);
  for (const [id, text] of pairs) {
    // The reference lost the bytes that are no character.
    if (text === "\uFFFD") assertStringIncludes(base.tokenText(id), "\\x");
    else assertEquals(base.tokenText(id), text);
  }
  assertEquals(base.tokenText(1046), " cake");
});

Deno.test("special tokens frame a text only when asked", () => {
  assertEquals([base.bosId, base.bosToken, base.eosId], [1, "<|bos|>", 2]);
  const plain = base.encode("Bake a cake.", { special: false });
  assertEquals(base.encode("Bake a cake.", { special: true }), [1, ...plain]);
  assertEquals(base.decode([1, ...plain]), "<|bos|>Bake a cake.");
  assertEquals(base.decode([1, ...plain], { skipSpecial: true }), "Bake a cake.");
  assertEquals(base.decode([]), "");
});

Deno.test("any text survives encoding and decoding", () => {
  for (const text of ["", "naïve  café\n\n🎂 ok", " ,don 't tidy .", "\\x41 \u0000"]) {
    assertEquals(base.decode(base.encode(text, { special: false })), text);
  }
});

Deno.test("text that spells a special token can be plain text", () => {
  const text = "a<|eos|>b";
  assert(base.encode(text, { special: false }).includes(2));
  const ids = base.encode(text, { special: true, parseSpecial: false });
  assertEquals(ids[0], 1);
  assert(ids.slice(1).every((id) => !base.specialIds.has(id)));
  assertEquals(base.decode(ids.slice(1)), text);
});

Deno.test("special tokens can be plain text in parts of a text", () => {
  const text = "<|eos|>a<|eos|>b<|eos|>";
  const ids = base.encode(text, { special: false, plainSpans: [[8, 15]] });
  const inner = base.encode("a<|eos|>b", { special: false, parseSpecial: false });
  assertEquals(ids, [2, ...inner, 2]);
  // Half of a token is enough.
  assertEquals(base.encode("<|eos|>", { special: false, plainSpans: [[6, 7]] }).includes(2), false);
  assertEquals(base.encode("<|eos|>a", { special: false, plainSpans: [[7, 8]] })[0], 2);
  assertEquals(base.specialSpans("x<|eos|><|end|>"), [[1, 8], [8, 15]]);
});

Deno.test("lone surrogates are encoded as U+FFFD", () => {
  const ids = base.encode("a\ud800b\udc00", { special: false });
  assertEquals(ids, base.encode("a\ufffdb\ufffd", { special: false }));
  // A vocabulary of characters sees code points where a byte-level one sees bytes.
  const parts = { pre_tokenizer: null, decoder: null };
  const characters = Tokenizer.fromJson(tiny(["a", "\ufffd", "\ud800"], parts), {}, "characters");
  assertEquals(characters.encode("a\ud800", { special: false }), [0, 1]);
});

Deno.test("a word that spells a special token does not become it where merges are ignored", () => {
  const added_tokens = [{ id: 2, content: "ab", special: true }];
  const vocab = { a: 0, b: 1 };
  const model = { type: "BPE", vocab, merges: [], ignore_merges: true };
  const file = tiny([], { added_tokens, model, pre_tokenizer: null });
  const tokenizer = Tokenizer.fromJson(file, {}, "x");
  assertEquals(tokenizer.encode("ab", { special: false }), [2]);
  assertEquals(tokenizer.encode("ab", { special: false, parseSpecial: false }), [0, 1]);
});

Deno.test("added tokens are looked for in the text as it stands, or in normalised text", () => {
  const added_tokens = [
    { id: 3, content: "A", special: false, normalized: false },
    { id: 4, content: "B", special: false, normalized: true },
  ];
  const file = tiny(["a", "b", "c"], {
    added_tokens,
    pre_tokenizer: null,
    normalizer: { type: "Lowercase" },
  });
  const tokenizer = Tokenizer.fromJson(file, {}, "x");
  assertEquals(tokenizer.encode("AaBbC", { special: false }), [3, 0, 4, 4, 2]);
});

Deno.test("the vocabulary's size and special ids", () => {
  assertEquals(base.vocabSize, 2048);
  assertEquals([...base.specialIds], [0, 1, 2, 3, 4, 5, 6]);
  assertEquals(base.tokenText(2048), "<unused 2048>");
  assertEquals(base.decode([1046, 2048, 1046]), " cake<unused 2048> cake");
  assertThrows(() => base.tokenText(-1), TokenizerError, "token -1");
  assertThrows(() => base.decode([1.5]), TokenizerError, "token 1.5");
  assertEquals([base.idOf("<|end|>"), base.idOf("Ġcake"), base.idOf("<|no|>")], [
    5,
    1046,
    undefined,
  ]);
});

Deno.test("tokenText writes incomplete UTF-8 as bytes, reversibly", () => {
  // The byte alphabet writes E2 as â and 82 as Ĥ; "âĤ¬" is the euro sign, "\\xE2" an ordinary text.
  const cut = Tokenizer.fromJson(tiny(["â", "âĤ¬", "\\xE2", "âĤ", "\\frac"]), {}, "cut");
  const texts = [0, 1, 2, 3, 4].map((id) => cut.tokenText(id));
  assertEquals(texts, ["\\xE2", "€", "\\x5CxE2", "\\xE2\\x82", "\\frac"]);
  assertEquals([...textBytes(texts[0])], [0xe2]);
  assertEquals(new TextDecoder().decode(textBytes(texts[2])), "\\xE2");
});

Deno.test("tokenText of a metaspace vocabulary with byte tokens", () => {
  const file = tiny(["\u2581cake", "<0xE2>", "<0x0A>", "Ġ"], {
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "\u2581" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
      ],
    },
  });
  const metaspace = Tokenizer.fromJson(file, undefined, "metaspace");
  assertEquals([0, 1, 2, 3].map((id) => metaspace.tokenText(id)), [" cake", "\\xE2", "\n", "Ġ"]);
});

Deno.test("add_bos_token is honoured where the post-processor adds no BOS, and not doubled", () => {
  const file = { ...json, post_processor: null };
  assertEquals(Tokenizer.fromJson(file, config, "x").encode("", { special: true }), [1]);
  const without = Tokenizer.fromJson(file, { ...config, add_bos_token: false }, "x");
  assertEquals(without.encode("", { special: true }), []);
  assertEquals(base.encode("", { special: true }), [1]);
});

Deno.test("missing and malformed files are TokenizerErrors that say what is wrong", () => {
  const cases: [unknown, unknown, string][] = [
    [undefined, {}, "tokenizer.json is missing"],
    [[], {}, "is not an object"],
    [{}, {}, 'no "model"'],
    [{ ...json, model: { type: "BPE" } }, {}, "no vocabulary"],
    [tiny([], { model: { type: "BPE", vocab: { a: 4e9 }, merges: [] } }), {}, "4000000000"],
    [tiny([], { model: { type: "BPE", vocab: { a: 0 }, merges: 3 } }), {}, "merges"],
    [tiny([], { model: { type: "BPE", vocab: { a: 0 } } }), {}, "malformed or not supported"],
    [{ ...json, added_tokens: [{ id: -1, content: "x" }] }, {}, "malformed added token"],
    [{ ...json, decoder: { type: "Enigma" } }, {}, "Enigma"],
    [{ ...json, pre_tokenizer: { type: "Metaspace", replacement: 5 } }, {}, "not supported"],
    [{ ...json, pre_tokenizer: nested(20_000) }, {}, "not supported"],
    [json, "no", "tokenizer_config.json is not an object"],
    [{ ...json, post_processor: null }, { add_bos_token: true, bos_token: "<s>" }, '"<s>"'],
  ];
  for (const [file, settings, part] of cases) {
    const error = assertThrows(() => Tokenizer.fromJson(file, settings, "m"), TokenizerError);
    assertStringIncludes(error.message, part);
    assertStringIncludes(error.message, 'tokenizer of "m"');
  }
});

Deno.test("text that the vocabulary cannot express is refused", () => {
  const file = tiny([], { model: { vocab: { a: 0 } }, pre_tokenizer: null });
  const words = Tokenizer.fromJson(file, {}, "words");
  assertEquals(words.encode("a", { special: false }), [0]);
  assertThrows(() => words.encode("b", { special: false }), TokenizerError, "no token for unknown");
});
