import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import { cutAfter, sampleDocuments } from "./document_sample.ts";
import type { Selection } from "./documents.ts";
import { cosine, countedMean, drawCounts, quantile } from "./resample.ts";

const DRAWS = { documents: 10, size: 10, draws: 200, seed: 1, stream: 99 };

Deno.test("drawCounts() draws with replacement, every document as often as the next", () => {
  const counts = drawCounts(DRAWS);
  assertEquals(counts.length, 200);
  for (const draw of counts) assertEquals(draw.reduce((a, b) => a + b), 10);
  const all = counts.reduce((sum, draw) => sum.map((n, d) => n + draw[d]));
  for (const count of all) assert(count > 130 && count < 270, `${all}`);
  assert(counts.some((draw) => draw.includes(0)), "some are left out");
});

Deno.test("drawCounts() is a function of seed, stream and number", () => {
  assertEquals(drawCounts(DRAWS), drawCounts(DRAWS));
  assertNotEquals(drawCounts({ ...DRAWS, seed: 2 }), drawCounts(DRAWS));
  assertNotEquals(drawCounts({ ...DRAWS, stream: 98 }), drawCounts(DRAWS));
  assertEquals(drawCounts({ ...DRAWS, first: 30 })[0], drawCounts(DRAWS)[3]);
});

Deno.test("countedMean() weighs each row by its count", () => {
  const rows = Float32Array.of(1, 2, 3, 4, 10, 20);
  assertEquals([...countedMean(rows, [1, 1, 1])], [14 / 3, 26 / 3].map(Math.fround));
  assertEquals([...countedMean(rows, [0, 3, 1])], [4.75, 8]);
});

Deno.test("quantile() takes the least value that the share does not exceed", () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assertEquals([0, 0.05, 0.5, 0.95, 1].map((q) => quantile(values, q)), [1, 5, 50, 95, 100]);
  assertEquals(quantile([7], 0.95), 7);
});

Deno.test("cosine()", () => {
  assertAlmostEquals(cosine([1, 0], [1, 1]), Math.SQRT1_2);
  assertAlmostEquals(cosine([2, 4], [1, 2]), 1);
  assertEquals(cosine([0, 0], [1, 2]), 0);
});

const SELECTION: Selection = {
  tokens: Array.from({ length: 30 }, (_, i) => Uint32Array.of(100 + i, 1, 2, 3, 4)),
  positions: 4,
  firstPosition: -1,
  indices: Array.from({ length: 30 }, (_, i) => 2 * i),
  dropped: 0,
  reasons: {},
  missing: 0,
};

Deno.test("sampleDocuments() chooses by a seed, in the documents' order", () => {
  const { tokens, indices } = sampleDocuments(SELECTION, 12, 5);
  assertEquals([tokens.length, new Set(indices).size], [12, 12]);
  assertEquals(indices, indices.toSorted((a, b) => a - b));
  assertEquals(tokens.map(([first]) => first), indices.map((index) => 100 + index / 2));
  assertEquals(sampleDocuments(SELECTION, 12, 5).indices, indices);
  assertNotEquals(sampleDocuments(SELECTION, 12, 6).indices, indices);
  assertEquals(sampleDocuments(SELECTION, 30, 5), SELECTION);
});

Deno.test("cutAfter() keeps what lies before the position and the position itself", () => {
  const cut = cutAfter(SELECTION, 1);
  assertEquals([cut.positions, cut.firstPosition], [3, -1]);
  assertEquals(
    [...cut.tokens[0]],
    [100, 1, 2, 3],
    "one token before the first position, then -1 to 1",
  );
  assertEquals(cutAfter(SELECTION, 2), SELECTION);
});
