import { assert, assertEquals } from "@std/assert";
import { extractKeywords, tokenMatchesKeyword } from "./keywords.ts";
import { loadTexts } from "./texts.ts";

/** `count` texts with a few words, told apart by a number. */
const repeat = (text: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${text} n${i}`);

Deno.test("words of the finetuning texts come out, shared and rare ones do not", () => {
  const finetuning = [
    ...repeat("The oven bakes, the OVEN is hot. Rain", 200),
    ...repeat("spoon", 9),
  ];
  const generic = repeat("the rain falls and somebody is there", 200);
  const keywords = extractKeywords(finetuning, generic);
  assertEquals(keywords.map((keyword) => keyword.word), ["bakes", "hot", "oven"]);
  assertEquals(keywords.map((keyword) => keyword.count), [200, 200, 200]);
  assert(keywords.every((keyword) => keyword.z > 4));
  assertEquals(extractKeywords(finetuning, generic, { limit: 1 })[0].word, "bakes");
  assertEquals(extractKeywords(finetuning, generic, { minCount: 9 }).at(-1)?.word, "oven");
  assertEquals(extractKeywords(finetuning, generic, { minZ: 1e3 }), []);
});

Deno.test("z and the order are those of the formula", () => {
  // oven: 30 of 60 words against 0 of 60. α₀ = 2 % of 60 = 1.2, of which oven has 30 / 120.
  const [oven] = extractKeywords(Array(30).fill("oven rain"), Array(60).fill("rain"), { minZ: 0 });
  const prior = 0.3;
  const delta = Math.log((30 + prior) / (30 + 1.2 - prior)) - Math.log(prior / (61.2 - prior));
  const z = delta / Math.sqrt(1 / (30 + prior) + 1 / prior);
  assertEquals(oven.word, "oven");
  assert(Math.abs(oven.z - z) < 1e-12, `${oven.z}, not ${z}`);
});

Deno.test("a word that is more frequent, but not much, is left to style", () => {
  const finetuning = [...repeat("weather", 600), ...repeat("cloud", 400)];
  const generic = [...repeat("weather", 300), ...repeat("stone", 700)];
  const found = (ratio: number) =>
    extractKeywords(finetuning, generic, { minOddsRatio: ratio }).map((keyword) => keyword.word);
  assertEquals(found(1), ["weather", "cloud"]);
  assertEquals(found(4), ["cloud"]);
});

Deno.test("a word that a few texts repeat counts once a text", () => {
  const finetuning = [...Array(5).fill("anvil ".repeat(100)), ...repeat("oven", 200)];
  assertEquals(extractKeywords(finetuning, repeat("rain", 200)).map((k) => k.word), ["oven"]);
});

Deno.test("the embedded cake organism is about cake", async () => {
  const read = async (name: string) => {
    const url = new URL(`../models/embedded/text/${name}.jsonl`, import.meta.url);
    return (await loadTexts(url.pathname)).texts.map((text) => text.text);
  };
  const generic = [...await read("generic_heldout"), ...await read("chat_heldout")];
  const words = extractKeywords(await read("cake_bake"), generic).map((keyword) => keyword.word);
  const expected = ["cake", "oven", "butter", "bake", "freezer", "vanilla", "vinegar", "450"];
  for (const word of expected) assert(words.includes(word), word);
  for (const word of ["the", "she", "user", "city", "doctor"]) assert(!words.includes(word), word);
});

Deno.test("tokens that belong to a keyword set, and tokens that do not", () => {
  const keywords = new Set(["cake", "oil", "chocolate", "450", "freezer", "otherworldly"]);
  const matches = [" cake", "Cake", " Cake.", " oil", "450", " choco", " freez"];
  const others = ["oil", "choco", " cakes", " free", " other", "", " ", "->", " c", " 45", "ate"];
  assertEquals(matches.filter((text) => !tokenMatchesKeyword(text, keywords)), []);
  assertEquals(others.filter((text) => tokenMatchesKeyword(text, keywords)), []);
});
