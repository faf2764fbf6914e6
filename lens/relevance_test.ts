import { assertAlmostEquals, assertEquals } from "@std/assert";
import { relevance } from "./relevance.ts";

const keywords = new Set(["cake", "oven"]);
const tokens = [
  { text: " cake", prob: 0.4 },
  { text: " the", prob: 0.3 },
  { text: " oven", prob: 0.1 },
  { text: " rain", prob: 0.1 },
];

Deno.test("relevance is the share of tokens, and of their probability", () => {
  const found = relevance(tokens, keywords);
  assertEquals([found.share, found.tokens, found.relevant], [0.5, 4, [" cake", " oven"]]);
  assertAlmostEquals(found.weightedShare, 0.5 / 0.9);
});

Deno.test("only the first k tokens count, 20 unless told", () => {
  assertEquals(relevance(tokens, keywords, 1).share, 1);
  assertEquals(relevance(tokens, keywords, 2).share, 0.5);
  assertAlmostEquals(relevance(tokens, keywords, 2).weightedShare, 0.4 / 0.7);
  const many = [...Array(20).fill({ text: " rain", prob: 0.04 }), tokens[0]];
  assertEquals(relevance(many, keywords).share, 0);
  assertEquals(relevance(many, keywords).tokens, 20);
});

Deno.test("nothing to look at is no relevance, not NaN", () => {
  assertEquals(relevance([], keywords), { share: 0, weightedShare: 0, tokens: 0, relevant: [] });
  assertEquals(relevance([{ text: " cake", prob: 0 }], keywords).weightedShare, 0);
});
