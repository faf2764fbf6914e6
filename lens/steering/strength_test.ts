import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { midpoints, searchStrength } from "./strength.ts";

/** A model that is coherent up to a strength; counts its batches. */
function coherentUpTo(limit: number) {
  const asked: number[][] = [];
  const share = (strengths: readonly number[]) => {
    asked.push([...strengths]);
    return Promise.resolve(strengths.map((strength) => strength <= limit ? 0.9 : 0.5));
  };
  return { asked, share };
}

const passes = (share: number) => share >= 0.75;

Deno.test("the midpoints of a range cut it in equal parts", () => {
  assertEquals(midpoints(0, 80, 3), [10, 20, 30, 40, 50, 60, 70]);
  assertEquals(midpoints(40, 60, 1), [50]);
});

Deno.test("looking ahead asks seven strengths at once and ends where one at a time does", async () => {
  for (const limit of [0, 3, 41.2, 50, 99.99, 200]) {
    const ahead = coherentUpTo(limit);
    const found = await searchStrength(
      { highest: 100, decisions: 12, levels: 3 },
      ahead.share,
      passes,
    );
    const single = coherentUpTo(limit);
    const plain = await searchStrength(
      { highest: 100, decisions: 12, levels: 1 },
      single.share,
      passes,
    );
    assertAlmostEquals(found.strength, plain.strength, 1e-9);
    assertEquals([ahead.asked.length, single.asked.length], [4, 12]);
    assert(ahead.asked.every((strengths) => strengths.length === 7));
    // 12 halvings of 100.
    const expected = Math.min(limit, 100);
    assert(
      found.strength <= expected && expected - found.strength <= 100 / 4096 + 1e-9,
      `${limit}`,
    );
    assertEquals(found.rounds.map(({ strengths }) => strengths), ahead.asked);
  }
});

Deno.test("decisions that are no multiple of the levels are made all the same", async () => {
  const { asked, share } = coherentUpTo(30);
  const { strength } = await searchStrength(
    { highest: 64, decisions: 4, levels: 3 },
    share,
    passes,
  );
  assertEquals(asked.map(({ length }) => length), [7, 1]);
  assertEquals(strength, 28); // of 64 in steps of 4: 28 passes, 32 does not
});

Deno.test("an empty range asks for nothing", async () => {
  const { asked, share } = coherentUpTo(30);
  const found = await searchStrength({ highest: 0, decisions: 6, levels: 3 }, share, passes);
  assertEquals([found, asked], [{ strength: 0, rounds: [] }, []]);
});
