import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { LayerReadout, PositionReadout } from "./readout.ts";
import { RELEVANCE_NAMES, topicRelevance } from "./topic.ts";

const WORDS = ["cake", "butter"];

/** A list of 20 tokens whose first `relevant` are keywords, equally likely each. */
function list(relevant: number, likely = 0.04) {
  return Array.from({ length: 20 }, (_, i) => ({
    token: i < relevant ? " cake" : " river",
    id: i,
    prob: i < relevant ? likely : 0.01,
  }));
}

type Shares = Record<string, [lens: number, scope: number]>;

function position(index: number, shares: Shares): PositionReadout {
  const by = <T>(read: (lens: number, scope: number) => T) =>
    Object.fromEntries(Object.entries(shares).map(([name, [a, b]]) => [name, read(a, b)]));
  return {
    position: index,
    delta_norm: 1,
    relative_norm: 0.1,
    logit_lens: by((relevant) => ({ top: list(relevant), bottom: list(20) })),
    patchscope: by((_, relevant) => ({
      scale: 1,
      tokens: list(relevant),
      coherent: [],
      scales: [{ scale: 2, score: 9, tokens: list(20) }],
    })),
  };
}

const layer = (positions: PositionReadout[]): LayerReadout => ({
  layer: 2,
  typical_norm: 10,
  positions,
});

Deno.test("topicRelevance() is the mean over positions and both readouts", () => {
  const readout = layer([
    position(0, { difference: [10, 4], base: [0, 0], finetuned: [2, 0], sibling: [1, 1] }),
    position(1, { difference: [0, 2], base: [0, 0], finetuned: [0, 0], sibling: [0, 0] }),
  ]);
  const found = topicRelevance(readout, WORDS);
  assertAlmostEquals(found.logit_lens.difference.share, 0.25);
  assertAlmostEquals(found.patchscope.difference.share, 0.15);
  assertAlmostEquals(found.difference, 0.2);
  assertAlmostEquals(found.finetuned, 0.025);
  assertAlmostEquals(found.sibling!, 0.025);
  assertEquals(found.base, 0);
  assertEquals(found.keywords, WORDS);
});

Deno.test("topicRelevance() weighs by probability too", () => {
  const { logit_lens } = topicRelevance(layer([position(0, { difference: [5, 0] })]), WORDS);
  assertAlmostEquals(logit_lens.difference.share, 0.25);
  assertAlmostEquals(logit_lens.difference.weighted_share, 5 * 0.04 / (5 * 0.04 + 15 * 0.01));
  assertEquals(logit_lens.difference.relevant, [" cake"], "each once");
});

Deno.test("topicRelevance() takes all random directions as one null", () => {
  const found = topicRelevance(
    layer([position(0, { difference: [20, 20], random_1: [6, 0], random_2: [0, 0] })]),
    WORDS,
  );
  assertEquals(Object.keys(found.logit_lens).sort(), ["difference", "random"]);
  assertAlmostEquals(found.logit_lens.random.share, 0.15);
  assertAlmostEquals(found.random, 0.075);
});

Deno.test("topicRelevance() looks at the top 20 alone, of the chosen scale alone", () => {
  const at = position(0, { difference: [0, 0] });
  at.logit_lens.difference.top.push(...list(20));
  const found = topicRelevance(layer([at]), WORDS);
  assertEquals([found.difference, found.logit_lens.difference.share], [0, 0]);
});

Deno.test("topicRelevance() has no sibling where none was read, and 0 where there is no difference", () => {
  const found = topicRelevance(layer([position(0, { base: [1, 1] })]), WORDS);
  assertEquals("sibling" in found, false);
  assertEquals([found.difference, found.random, found.base], [0, 0, 0.05]);
  const all = topicRelevance(
    layer([position(0, Object.fromEntries(RELEVANCE_NAMES.map((name) => [name, [2, 2]])))]),
    WORDS,
  );
  for (const name of RELEVANCE_NAMES) assertAlmostEquals(all[name]!, 0.1);
});
