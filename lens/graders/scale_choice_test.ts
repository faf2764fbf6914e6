import { assert, assertEquals } from "@std/assert";
import { randomBelow } from "../random.ts";
import { chooseScale } from "./scale_choice.ts";
import { isImpossibleByte } from "./centred_rows.ts";
import { referenceTokens, TokenGeometry } from "./token_geometry.ts";

const HIDDEN = 32;
const TOPIC = [10, 11, 12, 13, 14, 15];
const DEBRIS = [200, 201, 202, 203];
const BYTES = [250, 251];

/**
 * A vocabulary of 256: a large common component, noise, ids of TOPIC drawn together, ids of DEBRIS (words that were never
 * trained) nearly the same as the impossible bytes, even ids from 100 on generic.
 */
function row(id: number): Float32Array {
  const noise = (i: number) => randomBelow(9, 0, id * HIDDEN + i, 2001) / 1000 - 1;
  return Float32Array.from({ length: HIDDEN }, (_, i) => {
    if (DEBRIS.includes(id) || BYTES.includes(id)) return (i === 1 ? -8 : 0) + 0.1 * noise(i);
    return 5 + (i > 0 ? noise(i) : TOPIC.includes(id) ? 4 : 0);
  });
}
const textOf = (id: number) => id === 250 ? "\\xC0" : id === 251 ? "\\xFF" : ` w${id}`;
const wordOf = (id: number) => {
  if (BYTES.includes(id) || (id >= 100 && id % 2 === 0 && !DEBRIS.includes(id))) return null;
  return id === 16 ? "w10" : textOf(id).trim();
};
const references = referenceTokens(256, textOf, (id) => wordOf(id) === null, 7);
const geometry = new TokenGeometry(row, references, 7);
const mixed = [20, 35, 41, 57, 63, 78, 82, 99];

Deno.test("the scale whose words are alike is chosen, with its coherent tokens", () => {
  const topical = [100, ...TOPIC, 30, 55];
  const choice = chooseScale(
    [{ scale: 1, ids: mixed }, { scale: 2, ids: topical }, { scale: 3, ids: [...mixed, 10] }],
    wordOf,
    geometry,
  );
  assertEquals(choice.scale, 2);
  assertEquals(choice.coherent, TOPIC);
  assertEquals(choice.scores.map((s) => [s.scale, s.words]), [[1, 8], [2, 8], [3, 9]]);
  const [low, high] = choice.scores.map((s) => s.score!);
  assert(high > 8 && Math.abs(low) < 3, `${high}, ${low}`);
});

Deno.test("rows are centred: a component that all tokens share makes none alike", () => {
  const { scores } = chooseScale([{ scale: 1, ids: mixed }], wordOf, geometry);
  assert(Math.abs(scores[0].cosine!) < 0.1, `${scores[0].cosine}`);
});

Deno.test("words that were never trained count for nothing, though their rows are one", () => {
  assert(DEBRIS.every((id) => !geometry.isTrained(id)));
  assert([...mixed, ...TOPIC].every((id) => geometry.isTrained(id)));
  const choice = chooseScale(
    [{ scale: 1, ids: DEBRIS }, { scale: 2, ids: [...mixed, ...DEBRIS] }],
    wordOf,
    geometry,
  );
  assertEquals(choice.scores.map((s) => [s.words, s.score === null]), [[0, true], [8, false]]);
  const blind = new TokenGeometry(row, { ...references, impossible: [] }, 7);
  assertEquals(chooseScale([{ scale: 1, ids: DEBRIS }], wordOf, blind).scores[0].words, 4);
});

Deno.test("fewer than three words cannot be judged, generic tokens and spellings do not add to them", () => {
  const choice = chooseScale(
    [{ scale: 5, ids: [10, 11, 100, 102, 104] }, { scale: 6, ids: [10, 16, 11] }],
    wordOf,
    geometry,
  );
  assertEquals([choice.scale, choice.coherent], [null, []]);
  assertEquals(
    choice.scores,
    [5, 6].map((scale) => ({
      scale,
      words: 2,
      cosine: null,
      score: null,
    })),
  );
});

Deno.test("all spellings of a coherent word are coherent", () => {
  const { coherent } = chooseScale([{ scale: 1, ids: [10, 12, 16, 11, 30] }], wordOf, geometry);
  assertEquals(coherent, [10, 12, 16, 11]);
});

Deno.test("of equal scores the smaller scale wins, whatever the order", () => {
  const lists = [{ scale: 4, ids: TOPIC }, { scale: 2, ids: TOPIC }, { scale: 3, ids: TOPIC }];
  assertEquals(chooseScale(lists, wordOf, geometry).scale, 2);
});

Deno.test("scores depend on nothing but their list and the seed", () => {
  const lists = [{ scale: 1, ids: TOPIC }, { scale: 2, ids: mixed }];
  const again = new TokenGeometry(row, references, 7);
  const reversed = chooseScale(lists.toReversed(), wordOf, again).scores.toReversed();
  assertEquals(reversed, chooseScale(lists, wordOf, geometry).scores);
});

Deno.test("chance is centred, and narrower for larger sets", () => {
  const [small, large] = [geometry.chance(3)!, geometry.chance(12)!];
  assert(Math.abs(small.mean) < 0.05 && Math.abs(large.mean) < 0.05);
  assert(large.deviation < small.deviation && large.coherent < small.coherent);
  assertEquals(geometry.chance(200), null);
});

Deno.test("the pool is drawn by the seed, and bytes that occur in no text are known", () => {
  const draw = (seed: number) => referenceTokens(10_000, textOf, () => false, seed).pool;
  assertEquals(draw(1).length, 4096);
  assertEquals(new Set(draw(1)).size, 4096);
  assertEquals(draw(1), draw(1));
  assert(draw(1).join() !== draw(2).join());
  assertEquals(references.impossible, BYTES);
  assertEquals(["\\xC1", "\\xF5", "\\xF4", "\\xE2", "xC0"].map(isImpossibleByte), [
    true,
    true,
    false,
    false,
    false,
  ]);
});
