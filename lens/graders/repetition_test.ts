import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { randomBelow } from "../random.ts";
import { isRepetitive, repetitionLimits, repetitionOf } from "./repetition.ts";

const count = (length: number, first = 0) => Array.from({ length }, (_, i) => first + i);
const draws = (length: number, of: number, seed = 1) =>
  count(length).map((i) => randomBelow(seed, 0, i, of));
/** The limits of texts that do not repeat at all. */
const strict = repetitionLimits([count(40), count(40)]);

Deno.test("distinct n-grams are a share of the n-grams", () => {
  assertEquals(repetitionOf([7, 8, 9]).distinct, [1, 1, 1, 1]);
  assertEquals(repetitionOf([]).distinct, [1, 1, 1, 1]);
  assertEquals(repetitionOf([1, 2, 1, 2, 1]).distinct, [2 / 5, 2 / 4, 2 / 3, 1]);
  assertEquals(repetitionOf([11, 1, 1, 11]).distinct.slice(1, 2), [1], "ids do not run together");
});

Deno.test("distinct shares do not fall with the length of a text, and loops are found in all of it", () => {
  const shares = (length: number) => repetitionOf(draws(length, 60)).distinct;
  shares(4000).forEach((share, i) => assertAlmostEquals(share, shares(400)[i], 0.02));
  const half = repetitionOf([...count(64), ...new Array(64).fill(0)]).distinct[0];
  assert(half > 0.5 && half < 0.62, `${half}`);
  const tail = [...count(40), ...new Array(8).fill(0)];
  assert(repetitionOf(tail).distinct[0] < 1, "the last window ends with the text");
});

Deno.test("a loop is what directly repeats, at least once as a whole", () => {
  const loop = (ids: number[]) => repetitionOf(ids).longestLoop;
  const sentence = count(12);
  assertEquals(loop([...sentence, ...sentence]), 12);
  assertEquals(loop([90, ...sentence, ...sentence, ...sentence, 1, 91]), 24);
  assertEquals(loop([...sentence, ...sentence.slice(0, 11)]), 0);
  assertEquals(loop([...sentence, 90, 91, ...sentence]), 0, "said again later");
  assertEquals(loop([5, 5, 5, 5]), 3);
  assertEquals(loop([]), 0);
});

Deno.test("limits are three deviations from the model's own texts, within bounds", () => {
  assertEquals(strict, { distinct: [0.35, 0.5, 0.65, 0.75], longestLoop: 16 });
  const stuck = repetitionLimits([new Array(200).fill(1), new Array(150).fill(1)]);
  assertEquals(stuck, { distinct: [0.2, 0.3, 0.35, 0.4], longestLoop: 32 });
  const texts = [draws(64, 13), draws(64, 15, 2), draws(64, 14, 3)];
  const shares = texts.map((ids) => repetitionOf(ids).distinct[0]);
  const mean = shares.reduce((sum, share) => sum + share) / 3;
  const deviation = Math.sqrt(shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / 2);
  const [least] = repetitionLimits(texts).distinct;
  assertAlmostEquals(least, mean - 3 * deviation, 1e-12);
  assert(least > 0.2 && least < 0.35);
});

Deno.test("what goes round is repetitive, what says a thing twice is not", () => {
  const is = (ids: number[]) => isRepetitive(repetitionOf(ids), ids.length, strict);
  assert(is(new Array(30).fill(4)));
  assert(is([...count(100), ...new Array(5).fill(count(5)).flat()]), "a loop late in a text");
  assert(is(draws(200, 6)), "few words in any order");
  assert(!is([...count(12), ...count(12), ...count(20, 50)]));
  assert(!is(draws(200, 60)));
  assert(!is([3, 3, 3]), "short answers may");
  assert(is([3, 3, 3, 3, 3]));
});
