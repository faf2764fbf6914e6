import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { fitTfIdf, wordCounts } from "./tf_idf.ts";
import { dotMean, meanVector, unitVector } from "./vectors.ts";

async function cosine(a: string, b: string, fitted: string[] = []): Promise<number> {
  const [u, v] = (await fitTfIdf(fitted, 0).embed([a, b])).map(unitVector);
  return dotMean(u, meanVector([v]));
}

Deno.test("words are runs of letters, marks and digits in lower case, however they are spelt", () => {
  const words = (text: string) => [...wordCounts(text)];
  assertEquals(words("The cake, the CAKE; 350 g!"), [["the", 2], ["cake", 2], ["350", 1], [
    "g",
    1,
  ]]);
  assertEquals(words("\u00c9COLE e\u0301cole"), [["\u00e9cole", 2]]);
  assertEquals(words("\uff23\uff41ke \ufb01ne"), [["cake", 1], ["fine", 1]]);
  assertEquals(words("STRASSE straße"), [["strasse", 1], ["straße", 1]]);
  assertEquals(words("蛋糕蛋ab"), [["蛋", 2], ["糕", 1], ["ab", 1]]);
  assertEquals(words("  \n 🍰 — !"), []);
});

Deno.test("weights are those of the formula: a tiny example by hand", async () => {
  // Of three texts two hold "the" and one "cake"; none holds "oven".
  const fitted = ["the cake", "the sea", "rain"];
  const [{ values }] = await fitTfIdf(fitted, 0).embed(["the the cake oven"]);
  const expected = [
    (1 + Math.log(2)) * (1 + Math.log(4 / 3)),
    1 + Math.log(4 / 2),
    1 + Math.log(4 / 1),
  ];
  Array.from(values).forEach((value, i) => assertAlmostEquals(value, expected[i], 1e-12));
  assertEquals(values.length, 3);
  const [the, , oven] = expected;
  const other = [1 + Math.log(4 / 3), 1 + Math.log(4)];
  const byHand = (the * other[0] + oven * other[1]) /
    (Math.hypot(...expected) * Math.hypot(...other));
  assertAlmostEquals(await cosine("the the cake oven", "oven the", fitted), byHand, 1e-12);
});

Deno.test("cosines: 1 for the same words in any order, 0 for none in common or no words", async () => {
  assertAlmostEquals(await cosine("a warm cake, a cake", "cake a Cake WARM a"), 1, 1e-12);
  assertEquals(await cosine("warm cake", "cold sea"), 0);
  assertEquals(await cosine("warm cake", "…"), 0);
  const fitted = ["the sea", "the rain", "the sun"];
  const [rare, common] = [
    await cosine("the oven", "my oven", fitted),
    await cosine("the oven", "the rain", fitted),
  ];
  assert(rare > common, "rare words count for more than common ones");
});

Deno.test("vectors of several calls share their dimensions", async () => {
  const embedder = fitTfIdf(["unrelated"], 0);
  const [first] = await embedder.embed(["new words"]);
  const [second, third] = await embedder.embed(["words new", "other"]);
  assertAlmostEquals(dotMean(unitVector(second), meanVector([unitVector(first)])), 1, 1e-12);
  assertEquals(dotMean(third, meanVector([first])), 0);
});

Deno.test("names of object properties are words like others; an abort is heard", async () => {
  assertEquals([...wordCounts("constructor __proto__ toString")].length, 3);
  const stopped = AbortSignal.abort(new Error("stop"));
  await assertRejects(() => fitTfIdf([], 0).embed(["a"], { signal: stopped }), Error, "stop");
});
