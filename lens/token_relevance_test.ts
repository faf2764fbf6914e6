import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { Grader } from "./graders/grader.ts";
import { frequentTokens } from "./frequent_tokens.ts";
import type { LayerReadout } from "./readout.ts";
import { gradeRelevance, type RelevanceOptions } from "./token_relevance.ts";

const token = (text: string, prob: number) => ({ token: text, id: text.length, prob });

/** One position: δ and a random direction through both lenses. */
const READOUT = {
  layer: 2,
  typical_norm: 1,
  positions: [{
    position: 1,
    delta_norm: 1,
    relative_norm: 1,
    logit_lens: {
      difference: {
        top: [token(" cake", 0.5), token(" the", 0.3), token(" oven", 0.2)],
        bottom: [],
      },
      random_1: { top: [token(" car", 1)], bottom: [] },
      random_2: { top: [token(" cake", 1)], bottom: [] },
    },
    patchscope: {
      difference: { scale: 1, tokens: [token("Cake", 1)], coherent: [], scales: [] },
    },
  }],
} as LayerReadout;

function options(areRelevant: Grader["areRelevant"]): RelevanceOptions {
  const never = () => Promise.reject(new Error("not asked for"));
  return {
    grader: { name: "test", sideBySide: 1, areRelevant, chooseScale: never, areCoherent: never },
    topic: { description: "baking", keywords: ["cake"] },
    frequent: ["Oven"],
    isGeneric: (text) => text === " the",
    seed: 1,
  };
}

Deno.test("shares, weighted, of tokens that say something, and of frequent ones", async () => {
  const shown: string[][] = [];
  const reports: number[][] = [];
  const graded = await gradeRelevance(READOUT, {
    ...options((tokens) => {
      shown.push([...tokens]);
      return Promise.resolve(tokens.map((text) => /cake/i.test(text)));
    }),
    progress: (...report) => reports.push(report),
  });
  const { difference, random } = graded.logit_lens;
  assertAlmostEquals(difference.share, 1 / 3);
  assertAlmostEquals(difference.weighted_share, 0.5);
  assertEquals(difference.filtered_share, 0.5);
  assertAlmostEquals(difference.baseline, 1 / 3);
  assertEquals(difference.relevant, [" cake"]);
  assertEquals([random.share, graded.random], [0.5, 0.25]);
  assertAlmostEquals(graded.difference, (1 / 3 + 1) / 2);
  assertEquals("sibling" in graded, false);
  assertEquals([reports[0], reports.at(-1)], [[1, 4], [4, 4]]);
  // Each list three times, in orders of their own.
  assertEquals(shown.length, 12);
  for (const order of shown.slice(0, 3)) assertEquals(order.toSorted(), [" cake", " oven", " the"]);
});

Deno.test("a token counts only where every order agrees", async () => {
  const always = await gradeRelevance(READOUT, options((t) => Promise.resolve(t.map(() => true))));
  assertEquals(always.difference, 1);
  // The first that is shown is refused: which one that is depends on the order.
  const moody = options((tokens) => Promise.resolve(tokens.map((_, shown) => shown > 0)));
  const graded = await gradeRelevance(READOUT, moody);
  assertEquals(graded.logit_lens.difference.share < 2 / 3, true);
});

Deno.test("frequent tokens are those that say something, ten times at least", () => {
  const words = ["pastry", " pastry", " oven", " the", " rare"];
  const tokenizer = {
    encode: (text: string) => text.split("|").map((word) => words.indexOf(word)),
    tokenText: (id: number) => words[id],
  };
  const texts = [...Array(9).fill(" pastry| the"), "pastry", ...Array(12).fill(" oven"), " rare"];
  assertEquals(frequentTokens(texts, tokenizer), ["oven", "pastry"]);
});
