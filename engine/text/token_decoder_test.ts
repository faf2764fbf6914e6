import { assertEquals, assertThrows } from "@std/assert";
import { tokenDecoder } from "./token_decoder.ts";
import { TokenStream } from "./token_stream.ts";
import { Tokenizer } from "./tokenizer.ts";

/** What comes out after each piece, and at the end. */
function steps(config: unknown, pieces: string[]): string[] {
  const decoder = tokenDecoder(config)();
  return [...pieces.map((piece) => decoder.push(piece).join("")), decoder.end().join("")];
}

const sequence = (...decoders: unknown[]) => ({ type: "Sequence", decoders });
const replace = { type: "Replace", pattern: { String: "▁" }, content: " " };
const fallback = { type: "ByteFallback" };
const fuse = { type: "Fuse" };
const strip = { type: "Strip", content: " ", start: 1, stop: 0 };

Deno.test("a byte-level character comes when it is whole", () => {
  const bytes = { type: "ByteLevel" };
  // 😀 is F0 9F 98 80.
  assertEquals(steps(bytes, ["Ġa", "ð", "Ł", "ĺĢ", "!"]), [" a", "", "", "😀", "!", ""]);
  // What cuts a character short shows that it was cut; at the end too.
  assertEquals(steps(bytes, ["ðŁ", "a", "ðŁ"]), ["", "�a", "", "�"]);
  assertEquals(steps(bytes, ["ï»¿", "<unused 7>"]), ["\ufeff", "<unused 7>", ""]);
});

Deno.test("bytes of a SentencePiece vocabulary wait for the end of their run", () => {
  const gemma = sequence(replace, fallback, fuse);
  const euro = ["<0xE2>", "<0x82>", "<0xAC>"];
  assertEquals(steps(gemma, ["▁a▁▁", ...euro, "▁b"]), [" a  ", "", "", "", "€ b", ""]);
  assertEquals(steps(gemma, euro), ["", "", "", "€"]);
  // A run that is no text as a whole is as many replacement characters as it has bytes.
  assertEquals(steps(gemma, [...euro, "<0xE2>", "x"]), ["", "", "", "", "����x", ""]);
  assertEquals(steps(gemma, ["<0xEF>", "<0xBB>", "<0xBF>", "<0xZZ>"]).join(""), "\ufeff<0xZZ>");
});

Deno.test("the space that begins a text is dropped once", () => {
  const llama2 = sequence(replace, fallback, fuse, strip);
  assertEquals(steps(llama2, ["▁", "▁a", "▁b"]), ["", " a", " b", ""]);
  assertEquals(steps(llama2, ["a", "▁b"]), ["a", " b", ""]);
  assertEquals(steps(llama2, ["<0x20>", "<0x20>", "b"]), ["", "", " b", ""]);
  // Before Fuse, each piece begins with one.
  assertEquals(steps(sequence(replace, strip), ["▁▁a", "▁b"]), [" a", "b", ""]);
  const stop = { type: "Strip", content: "x", start: 0, stop: 2 };
  assertEquals(steps(stop, ["axxx", "xx", "x"]), ["ax", "", "", ""]);
});

Deno.test("Metaspace drops the marks of the first piece where it adds them", () => {
  const metaspace = { type: "Metaspace", replacement: "▁" };
  assertEquals(steps(metaspace, ["▁▁a▁b", "▁c"]), ["ab", " c", ""]);
  const never = { ...metaspace, prepend_scheme: "never" };
  assertEquals(steps(never, ["▁a", "▁c"]), [" a", " c", ""]);
  assertEquals(steps({ ...metaspace, add_prefix_space: false }, ["▁a"]), [" a", ""]);
});

Deno.test("no decoder puts spaces between pieces, and a pattern's dollars are literal", () => {
  assertEquals(steps(null, ["a", "b"]), ["a", " b", ""]);
  assertEquals(steps({ ...replace, content: "$&" }, ["▁"]), ["$&", ""]);
});

Deno.test("decoders that look at a whole text give it at the end", () => {
  const wordPiece = { type: "WordPiece", prefix: "##", cleanup: false };
  assertEquals(steps(wordPiece, ["un", "##do", "it"]), ["", "", "", "undo it"]);
  const late = sequence(fuse, { type: "Strip", content: " ", start: 0, stop: 1 });
  assertEquals(steps(late, ["a ", "b  "]), ["", "", "a b "]);
  assertEquals(steps(wordPiece, []), [""]);
  assertThrows(() => tokenDecoder({ type: "Enigma" }), Error, "Enigma");
});

Deno.test("a stream leaves special tokens out if asked, and each stream begins anew", () => {
  const file = {
    model: { type: "BPE", vocab: { "▁a": 0, "▁b": 1 }, merges: [] },
    added_tokens: [{ id: 2, content: "<s>", special: true }],
    decoder: sequence(replace, fuse, strip),
  };
  const tokenizer = Tokenizer.fromJson(file, {}, "x");
  const all = (skipSpecial: boolean) => {
    const stream = new TokenStream(tokenizer, { skipSpecial });
    return [2, 0, 2, 1, 9].map((id) => stream.push(id)).concat(stream.end());
  };
  assertEquals(all(false), ["<s>", " a", "<s>", " b", "<unused 9>", ""]);
  assertEquals(all(true), ["", "a", "", " b", "<unused 9>", ""]);
  assertEquals(tokenizer.decode([2, 0, 2, 1], { skipSpecial: true }), "a b");
});
