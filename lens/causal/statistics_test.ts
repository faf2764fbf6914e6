import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { DocumentLosses } from "./measure.ts";
import { resamples, setEffect, type TokenEffect } from "./statistics.ts";

/** Sums: unedited, δ, two random directions, two differences. */
const documents: DocumentLosses[] = [
  { tokens: 30, late: 11, sums: [30, 36, 31, 29, 42, 24], late_sums: [11, 22, 11, 11, 11, 11] },
  { tokens: 10, late: 0, sums: [20, 24, 21, 19, 22, 18], late_sums: [0, 0, 0, 0, 0, 0] },
  { tokens: 40, late: 21, sums: [30, 20, 30, 32, 30, 30], late_sums: [21, 21, 21, 21, 21, 21] },
];
const controls = { random: [2, 3], random_difference: [4, 5] };

Deno.test("means are over tokens, a document's own change over its tokens", () => {
  const effect = setEffect(documents, 1, controls, resamples(3, 0));
  assertEquals([effect.documents, effect.tokens, effect.loss, effect.intervened], [3, 80, 1, 1]);
  assertEquals(effect.change, 0);
  assertAlmostEquals(effect.document_change.mean, (6 / 30 + 4 / 10 - 10 / 40) / 3);
  assertEquals(effect.document_change.median, 6 / 30);

  const late = effect.after_20!;
  assertEquals([late.documents, late.tokens, late.loss], [2, 32, 1]);
  assertEquals(late.change, 11 / 32);
  assertEquals(late.document_change, { mean: 0.5, median: 0.5 });
});

Deno.test("controls: their losses, their changes, and how many move the loss less than δ", () => {
  const { random, random_change, random_difference } = setEffect(
    documents,
    1,
    controls,
    resamples(3, 0),
  );
  assertEquals(random, { count: 2, mean: 81 / 80, low: 1, high: 82 / 80, beaten: 0 });
  assertEquals(random_change, { mean: 81 / 80 - 1, low: 0, high: 82 / 80 - 1 });
  assertEquals(random_difference!.mean, (94 + 72) / 2 / 80);
  const strong = setEffect(documents, 4, controls, resamples(3, 0));
  assertEquals([strong.random!.beaten, strong.random_difference!.beaten], [1, 0.5]);
});

Deno.test("the interval holds the change, is narrow where documents agree, and is the same for a seed", () => {
  const some = (spread: number): DocumentLosses[] =>
    Array.from({ length: 42 }, (_, d) => {
      const sums = [10, 12 + spread * (d % 7 - 3) / 2];
      return { tokens: 10, late: 0, sums, late_sums: [0, 0] };
    });
  const none = { random: [], random_difference: [] };
  const interval = (spread: number, seed: number): TokenEffect["change_interval"] => {
    const effect = setEffect(some(spread), 1, none, resamples(42, seed));
    assertEquals([effect.random, effect.random_change, effect.after_20], [null, null, null]);
    return effect.change_interval;
  };
  const [narrow, wide] = [interval(0.1, 1), interval(2, 1)];
  assert(narrow.low < 0.2 && narrow.high > 0.2);
  // 1.96 standard errors: 0.2 / √42 on either side.
  assertAlmostEquals(wide.high - wide.low, 2 * 1.96 * 0.2 / Math.sqrt(42), 0.02);
  assertAlmostEquals((wide.high - wide.low) / (narrow.high - narrow.low), 20, 1e-6);
  assertEquals(interval(2, 1), wide);
  assert(interval(2, 2).low !== wide.low);
});
