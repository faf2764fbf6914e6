import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { randomBelow } from "../random.ts";
import { CoherenceRange } from "./coherence.ts";

const ids = (length: number) => Array.from({ length }, (_, i) => i);
const text = (losses: number[]) => ({ ids: ids(losses.length), losses });

Deno.test("the spread of losses: mean of means, within texts, and between them beyond chance", () => {
  const range = CoherenceRange.of([text([1, 3]), text([5, 7, 6, 6])]);
  const within = (2 + 2) / (1 + 3);
  assertAlmostEquals(range.loss.mean, 4);
  assertAlmostEquals(range.loss.within, within);
  assertAlmostEquals(range.loss.between, 8 - within * (1 / 2 + 1 / 4) / 2);
  assertAlmostEquals(range.highestLoss(16), 4 + 3 * Math.sqrt(range.loss.between + within / 16));
  const alike = CoherenceRange.of([text([1, 3, 2, 9]), text([2, 9, 1, 4])]);
  assertEquals(alike.loss.between, 0, "their difference is chance");
  const single = CoherenceRange.of([text([2]), text([4])]);
  assertEquals(single.loss, { mean: 3, between: 2, within: 0 });
});

Deno.test("the shorter a text, the higher its loss may be; of the model's own nearly all pass", () => {
  const losses = (seed: number, length: number) =>
    Array.from({ length }, (_, i) => randomBelow(seed, 0, i, 4000) / 1000);
  const texts = Array.from({ length: 32 }, (_, seed) => text(losses(seed, 20 + seed)));
  const range = CoherenceRange.of(texts);
  assert(range.highestLoss(4) > range.highestLoss(16));
  assert(range.highestLoss(16) > range.highestLoss(500));
  for (const length of [2, 10, 300]) {
    const fresh = Array.from({ length: 200 }, (_, i) => text(losses(1000 + i, length)));
    const passed = fresh.filter((one) => range.judge(one).coherent).length;
    assert(passed >= 196, `${passed} of 200 texts of ${length} tokens`);
  }
});

Deno.test("a text is too hard to predict, repeats, or says nothing", () => {
  const range = new CoherenceRange({ mean: 2, between: 0.25, within: 4 }, {
    distinct: [0.35, 0.5, 0.65, 0.75],
    longestLoop: 16,
  });
  const losses = (length: number, loss: number) => new Array(length).fill(loss);
  const faults = (ids: number[], losses: number[]) => range.judge({ ids, losses }).faults;
  assertAlmostEquals(range.highestLoss(16), 2 + 3 * Math.sqrt(0.5));
  assertEquals(faults(ids(16), losses(16, 4.1)), []);
  assertEquals(faults(ids(16), losses(16, 4.2)), ["loss"]);
  assertEquals(faults(ids(16), losses(16, 0)), [], "there is no lower limit");
  assertEquals(faults(ids(16), losses(16, NaN)), ["loss"]);
  assertEquals(faults(losses(16, 7), losses(16, 0)), ["repetition"]);
  assertEquals(faults(losses(40, 7), losses(40, 9)), ["loss", "repetition"]);
  assertEquals(faults([], []), ["empty"]);
  const verdict = range.judge({ ids: [1], losses: [] });
  assertEquals([verdict.coherent, verdict.loss], [true, null], "nothing is known of it");
  assertEquals(verdict.highestLoss, range.highestLoss(1));
});
