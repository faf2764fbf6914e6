import { assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { TextError } from "../engine/errors.ts";
import { Tokenizer } from "../engine/text/tokenizer.ts";
import { chooseDocuments, firstCharacters, plainRule, selectDocuments } from "./documents.ts";
import { SHUFFLE_STREAMS, shuffledIndices } from "./shuffle.ts";
import { loadTexts } from "./texts.ts";

/** One token a character, after a 0. */
const letters = {
  encode: (text: string, { special }: { special: boolean }) => [
    ...(special ? [0] : []),
    ...Array.from(text, (character) => character.codePointAt(0)!),
  ],
};

Deno.test("short documents are dropped, long ones cut, until there are enough", () => {
  const texts = ["ab", "abcd", "x", "efgh", "ijkl"];
  const found = selectDocuments(texts, letters, { documents: 2, tokens: 4, seed: null });
  assertEquals(found.tokens.map((ids) => [...ids]), [[0, 97, 98, 99], [0, 101, 102, 103]]);
  assertEquals([found.indices, found.dropped, found.missing], [[1, 3], 2, 0]);
});

Deno.test("fewer documents than wanted are told, none is an error", () => {
  const found = selectDocuments(["abc", "a"], letters, { documents: 9, tokens: 3, seed: null });
  assertEquals([found.indices, found.dropped, found.missing], [[0], 1, 8]);
  assertThrows(
    () => selectDocuments(["abc", "a"], letters, { documents: 9, tokens: 16, seed: null }),
    TextError,
    "every one of the 2 documents has fewer than 16 tokens (longest: 4)",
  );
});

Deno.test("a seed shuffles the documents", () => {
  const texts = Array.from({ length: 20 }, (_, i) => `text ${i}`);
  const take = (seed: number) =>
    selectDocuments(texts, letters, { documents: 20, tokens: 3, seed }).indices;
  assertEquals(take(4), [...shuffledIndices(20, 4)]);
  assertNotEquals(take(4), take(5));
});

Deno.test("texts are cut to ten code points a token before they are tokenised", () => {
  const lengths: number[] = [];
  const tokenizer = {
    encode(text: string, options: { special: boolean }) {
      lengths.push([...text].length);
      return letters.encode(text, options);
    },
  };
  selectDocuments(["\u{1F382}".repeat(50)], tokenizer, { documents: 1, tokens: 2, seed: null });
  assertEquals(lengths, [20]);
  assertEquals(firstCharacters("a\u{1F382}b", 2), "a\u{1F382}");
});

/** Texts in pools, and how many pools were asked for. */
function inPools(...pools: string[][]) {
  const set = {
    asked: 0,
    async *pools() {
      for (const pool of pools) {
        set.asked++;
        yield await Promise.resolve(pool.map((text) => ({ text })));
      }
    },
  };
  return set;
}

Deno.test("chooseDocuments() asks for pools until there are enough documents", async () => {
  const rule = plainRule(letters, 3);
  const set = inPools(["ab", "cd", "x"], ["y", "ef", "gh"], ["ij"]);
  const found: number[] = [];
  const progress = (count: number) => found.push(count);
  const chosen = await chooseDocuments(set, rule, { documents: 3, seed: null, progress });
  assertEquals(chosen.indices, [0, 1, 4], "counted through the pools");
  assertEquals([chosen.dropped, chosen.reasons], [2, { "fewer than 3 tokens": 2 }]);
  assertEquals([chosen.positions, chosen.firstPosition, chosen.missing], [3, 0, 0]);
  assertEquals([set.asked, found], [2, [2, 3]]);
  const few = await chooseDocuments(set, rule, { documents: 9, seed: null });
  assertEquals([few.tokens.length, few.missing], [5, 4]);
  await assertRejects(
    () => chooseDocuments(inPools(["x"], ["y"]), rule, { documents: 1, seed: 0 }),
    TextError,
    "every one of the 2 documents",
  );
});

Deno.test("chooseDocuments() shuffles every pool, each in its own way", async () => {
  const pool = Array.from({ length: 9 }, (_, i) => `text ${i}`);
  const options = { documents: 18, seed: 4 };
  const { indices } = await chooseDocuments(inPools(pool, pool), plainRule(letters, 3), options);
  const second = shuffledIndices(9, 4, SHUFFLE_STREAMS.pools + 1);
  assertEquals(indices.slice(0, 9), [...shuffledIndices(9, 4)], "as a file that is read whole");
  assertEquals(indices.slice(9), Array.from(second, (i) => 9 + i));
});

Deno.test("chooseDocuments() gives a dataset up in which next to nothing can be used", async () => {
  const short = Array.from({ length: 60_000 }, () => "x");
  const set = inPools(short, short, short);
  const texts = chooseDocuments(set, plainRule(letters, 3), { documents: 1, seed: null });
  await assertRejects(() => texts, TextError, "every one of the 120000 documents");
});

Deno.test("the embedded texts: the first 1,000 documents of 16 tokens, as in the reference", async () => {
  const embedded = new URL("../models/embedded/", import.meta.url);
  const read = (name: string) => JSON.parse(Deno.readTextFileSync(new URL(name, embedded)));
  const tokenizer = Tokenizer.fromJson(
    read("base/tokenizer.json"),
    read("base/tokenizer_config.json"),
    "base",
  );
  const file = await loadTexts(new URL("text/generic_heldout.jsonl", embedded).pathname);
  const texts = file.texts.map((text) => text.text);
  const found = selectDocuments(texts, tokenizer, { documents: 1000, tokens: 16, seed: null });
  assertEquals([found.indices[0], found.indices[999], found.dropped], [0, 999, 0]);
  assertEquals(found.tokens.every((ids) => ids.length === 16 && ids[0] === 1), true);
});
