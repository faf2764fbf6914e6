import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import type { Ranked } from "../engine/ops/ranking.ts";
import { stability as stabilityOf, stabilityDraws, type StabilityOptions } from "./stability.ts";

const HIDDEN = 64;

/** A lens that reads each dimension as a token, the largest first. */
const read = (vectors: readonly Float32Array[]): Promise<Ranked[][]> =>
  Promise.resolve(vectors.map((vector) =>
    Array.from(vector, (value, id) => ({ id, value }))
      .sort((a, b) => b.value - a.value || a.id - b.id).slice(0, 40)
  ));

const OPTIONS: Omit<StabilityOptions, "draws"> = {
  hidden: HIDDEN,
  norm: 10,
  read,
  named: ({ id, value }) => ({ id, prob: value, token: `t${id}` }),
};

const stability = (rows: Float32Array, seed = 3) =>
  stabilityOf(rows, { ...OPTIONS, draws: stabilityDraws(rows.length / HIDDEN, seed) });

/** Falling from 2 on, so that ranks are clear. */
const MEAN = Float32Array.from({ length: HIDDEN }, (_, i) => 2 - i / HIDDEN);

/** Documents around MEAN, `noise` apart in each dimension. */
function rowsOf(documents: number, noise: number): Float32Array {
  return Float32Array.from(
    { length: documents * HIDDEN },
    (_, i) => MEAN[i % HIDDEN] + noise * Math.sin(1e4 * (i + 1) * (i + 1)),
  );
}

Deno.test("stability() of documents that are alike: one would have been enough", async () => {
  const found = (await stability(rowsOf(50, 0)))!;
  assertAlmostEquals(found.cosine.mean, 1, 1e-9);
  assertAlmostEquals(found.cosine.low, 1, 1e-9);
  assertEquals(found.enough, { cosine: 1, tokens: 1 });
  assertEquals(found.sizes.map(({ documents }) => documents), [1, 2, 4, 8, 16, 32]);
  const { value, low, high } = found.relative_norm;
  assertAlmostEquals(value, Math.hypot(...MEAN) / 10, 1e-6);
  assertEquals([low, high], [value, value]);
  assertEquals(
    found.tokens.map(({ token }) => token),
    Array.from({ length: 20 }, (_, i) => `t${i}`),
  );
  found.tokens.forEach(({ rank }, i) => {
    assertEquals(rank, { low: i + 1, median: i + 1, high: i + 1 });
  });
});

Deno.test("stability() of documents that differ: more of them agree better", async () => {
  const found = (await stability(rowsOf(256, 6)))!;
  assert(found.cosine.mean > found.cosine.low && found.cosine.low > 0.9, `${found.cosine.low}`);
  const cosines = found.sizes.map(({ cosine }) => cosine);
  assertEquals(cosines, cosines.toSorted((a, b) => a - b));
  assert(cosines[0] < 0.6, `${cosines[0]}`);
  for (const size of found.sizes) assert(size.low_cosine <= size.cosine);
  const { cosine, tokens } = found.enough;
  assert(cosine !== null && cosine > 8 && cosine < 256, `${cosine}`);
  assertEquals(found.sizes.find((size) => size.cosine >= 0.95)!.documents, cosine);
  assertEquals(tokens, null, "neighbouring tokens change places");
  // The last size is as many documents as there are: its samples spread as the bootstrap's do.
  assertAlmostEquals(cosines.at(-1)!, found.cosine.mean, 0.01);
  const { value, low, high } = found.relative_norm;
  assert(low < high && value > 0.9 * low);
  for (const { rank } of found.tokens) {
    const ranks = [rank.low, rank.median, rank.high].map((one) => one ?? Infinity);
    assertEquals(ranks, ranks.toSorted((a, b) => a - b));
  }
});

Deno.test("stability() says when a token is beyond the ranks that are read", async () => {
  // Half of the documents have one strong token, which none of the others knows.
  const rows = new Float32Array(2 * HIDDEN).map((_, i) => i === HIDDEN - 1 ? 9 : MEAN[i % HIDDEN]);
  const { tokens: [first] } = (await stability(rows))!;
  assertEquals([first.id, first.rank.low], [HIDDEN - 1, 1]);
  assertEquals(first.rank.high, null);
});

Deno.test("stability() is the same for a seed, and is nothing where there is no difference", async () => {
  const rows = rowsOf(20, 3);
  assertEquals(await stability(rows), await stability(rows));
  const other = await stability(rows, 4);
  assertNotEquals(other?.cosine, (await stability(rows))?.cosine);
  assertEquals(await stability(new Float32Array(3 * HIDDEN)), null);
});
