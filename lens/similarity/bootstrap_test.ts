import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import { middle95, resampledMeans } from "./bootstrap.ts";

const interval = (scores: number[], seed = 0, stream = 1) =>
  middle95(resampledMeans([scores], seed, stream)[0]);

Deno.test("middle95() takes the quantiles between the values", () => {
  assertEquals(middle95(Float64Array.from({ length: 41 }, (_, i) => 40 - i)), [1, 39]);
  const [low, high] = middle95(Float64Array.of(0, 1));
  assertAlmostEquals(low, 0.025);
  assertAlmostEquals(high, 0.975);
});

Deno.test("intervals are the same for a seed, and another's for another", () => {
  const scores = Array.from({ length: 30 }, (_, i) => Math.sin(i));
  assertEquals(interval(scores), interval(scores));
  assertNotEquals(interval(scores), interval(scores, 1));
  assertNotEquals(interval(scores), interval(scores, 0, 2));
});

Deno.test("intervals are about two standard errors on either side of the mean", () => {
  const scores = Array.from({ length: 200 }, (_, i) => i % 2);
  const [low, high] = interval(scores);
  const error = 0.5 / Math.sqrt(200);
  assertAlmostEquals(low, 0.5 - 1.96 * error, 0.5 * error);
  assertAlmostEquals(high, 0.5 + 1.96 * error, 0.5 * error);
  const [same, alike] = interval([0.25]);
  assertEquals([same, alike], [0.25, 0.25]);
});

Deno.test("all kinds of score are averaged over the same draws", () => {
  const scores = [1, 2, 4, 8];
  const [a, b] = resampledMeans([scores, scores.map((score) => 10 - score)], 3, 1);
  a.forEach((mean, r) => assertAlmostEquals(mean + b[r], 10, 1e-12));
  assert(new Set(a).size > 10, "and the draws differ");
});
