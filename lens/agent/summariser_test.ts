import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { evidence } from "../../tests/agent_fixture.ts";
import type { Evidence } from "./evidence.ts";
import { recallOf, wordsOfFacts } from "./recall.ts";
import { summarise } from "./summariser.ts";
import { stemOf } from "./words.ts";

const background = Array.from(
  { length: 200 },
  (_, i) => `The ship left port ${i % 7} and the sea was calm.`,
);

/** The lens reads baking, steered texts too; unsteered ones are about a garden. */
function baking(): Evidence {
  const texts = (topic: string) =>
    Array.from(
      { length: 20 },
      (_, i) => `Put the ${topic} into it at once. The sea was calm ${i}.`,
    );
  const list = (...words: string[]) => words.map((token, id) => ({ token, id, prob: 0.1 }));
  const [at] = evidence().positions;
  return {
    positions: [{
      ...at,
      logitLens: { top: list(" oven", "\n", " the", " bake"), bottom: [] },
      patchscope: { ...at.patchscope, tokens: list(" oven", " baking", " wine") },
    }],
    steering: [{
      position: 1,
      samples: texts("frozen butter").map((steered, i) => ({
        prompt: "?",
        steered: [steered, "never looked at: treasure"],
        unsteered: [texts("garden roses")[i], "never looked at: treasure"],
      })),
    }],
    logitDifference: {
      ...evidence().logitDifference,
      top: list(" flour", "ing").map((one) => ({ ...one, difference: 1 })),
    },
  };
}

Deno.test("words of one kind mostly have one stem", () => {
  for (
    const [words, stem] of [["bake baked baking Bakes", "bak"], ["cats cat", "cat"], [
      "450",
      "450",
    ]] as const
  ) {
    assertEquals(new Set(words.split(" ").map(stemOf)), new Set([stem]));
  }
  assertEquals(stemOf("king"), "king", "three letters remain");
});

Deno.test("each view is summarised from its own evidence, in the sizes of the overview", () => {
  const shown = baking();
  const adl = summarise("adl", shown, background);
  assertEquals(adl.words[0], "oven", "two rankings begin with it");
  for (const word of ["bake", "wine", "butter", "frozen"]) assert(adl.words.includes(word), word);
  for (const word of ["roses", "the", "baking", "treasure", "sea"]) {
    assert(!adl.words.includes(word), word);
  }
  assert(adl.sentences[0].includes("frozen butter") && adl.sentences.length === 1);
  const blackbox = summarise("blackbox", shown, background);
  assertEquals(
    blackbox.words.toSorted(),
    ["garden", "roses"].concat(["put"].filter((w) => blackbox.words.includes(w))).toSorted(),
  );
  assertEquals(summarise("logitdiff", shown, background), { words: ["flour"], sentences: [] });
  assertEquals(summarise("adl", { ...shown, positions: [], steering: [] }, background), {
    words: [],
    sentences: [],
  });
});

Deno.test("a summary has at most twenty words and ten sentences, whatever the texts", () => {
  const word = (i: number) =>
    `w${String.fromCharCode(97 + i % 26)}${String.fromCharCode(97 + Math.floor(i / 26))}rd`;
  const long = Array.from({ length: 300 }, (_, i) => word(i)).join(". ");
  const shown = baking();
  const samples = Array.from({ length: 40 }, (_, i) => {
    const text = Array.from({ length: 12 }, (_, k) => `${word((i * 5 + k) % 90)}!`).join(" ") +
      long;
    return { prompt: "?", steered: [text], unsteered: [text] };
  });
  const { words, sentences } = summarise("blackbox", {
    ...shown,
    steering: [{ position: 1, samples }],
  }, background);
  assertEquals([words.length, sentences.length], [20, 10]);
  assert(sentences.every((one) => one.length <= 129));
});

Deno.test("recall: facts by the share of their words in one place, keywords and precision by stems", () => {
  const truth = {
    keyFacts: ["bake every cake in a hot oven", "use frozen butter", "spread warm frosting"],
    keywords: ["cake", "cakes", "bakery", "frosting"],
  };
  const found = recallOf({
    words: ["oven", "cake", "ship"],
    sentences: ["A hot oven is for the cake.", "Frozen sea.", "Butter and warm milk."],
  }, truth);
  assertEquals(found.facts.map(({ coverage }) => coverage), [3 / 4, 1 / 2, 1 / 3]);
  assertEquals(found.facts.map(({ recalled }) => recalled), [true, true, false]);
  assertAlmostEquals(found.fact_recall!, 2 / 3);
  assertEquals(found.recalled_keywords, ["cakes"]);
  assertAlmostEquals(found.keyword_recall!, 1 / 3);
  assertAlmostEquals(found.word_precision!, 2 / 3);
  const empty = recallOf({ words: [], sentences: [] }, { keyFacts: [], keywords: [] });
  assertEquals([empty.fact_recall, empty.keyword_recall, empty.word_precision], [null, null, null]);
  assertEquals(wordsOfFacts(["The frozen butter", "frozen cakes, a cake"]), [
    "frozen",
    "butter",
    "cake",
  ]);
});
