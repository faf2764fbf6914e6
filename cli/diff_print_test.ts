import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { PositionReadout } from "../lens/readout.ts";
import type { LayerResult } from "../lens/run_diff.ts";
import type { TopicRelevance } from "../lens/topic.ts";
import type { DiffPlan } from "./diff_inputs.ts";
import { diffJson, type DiffShown, printDiff } from "./diff_print.ts";

const tokens = (...texts: string[]) =>
  texts.map((token, id) => ({ token, id, prob: 0.5 / (id + 1) }));

const scope = (scale: number | null, ...texts: string[]) => ({
  scale,
  tokens: tokens(...texts),
  coherent: texts.slice(0, 1),
  scales: [
    { scale: 1, score: null, tokens: tokens(" one") },
    { scale: 2, score: 7.5, tokens: tokens(...texts) },
  ],
  negative: [{ scale: -1, tokens: tokens(" minus") }],
});

const lens = (...texts: string[]) => ({ top: tokens(...texts), bottom: tokens(" not") });

const POSITIONS: PositionReadout[] = [
  {
    position: 0,
    delta_norm: 12.3456,
    relative_norm: 0.1234,
    logit_lens: { difference: lens(" cake", "ing"), base: lens(" the") },
    patchscope: { difference: scope(2, " butter", "ery"), base: scope(null, " of") },
  },
  { position: 7, delta_norm: 0, relative_norm: 0, logit_lens: {}, patchscope: {} },
];

const mean = (share: number) => ({ share, weighted_share: share / 2, relevant: [" cake"] });

const RELEVANCE: TopicRelevance = {
  difference: 0.5,
  base: 0,
  finetuned: 0,
  random: 0,
  logit_lens: { difference: mean(0.5), base: mean(0) },
  patchscope: { difference: mean(0.25) },
  keywords: ["cake"],
};

const layer = (index: number, relevance: TopicRelevance | null = RELEVANCE): LayerResult => ({
  layer: index,
  typical_norm: 20,
  positions: POSITIONS,
  relevance,
});

const shown = (results: LayerResult[], plan: Partial<DiffPlan> = {}): DiffShown => ({
  plan: { base: "./b", description: undefined, ...plan } as DiffPlan,
  results,
  documents: 24,
  folder: "results/x",
});

function printed(what: DiffShown): string {
  const lines: string[] = [];
  const { log } = console;
  console.log = (line: string) => lines.push(line);
  try {
    printDiff({ ...what, names: ["the_base", "the_finetune"] });
  } finally {
    console.log = log;
  }
  return lines.join("\n");
}

Deno.test("diffJson() has one layer at its top, and the chosen scale of each vector", () => {
  const json = JSON.parse(JSON.stringify(diffJson(shown([layer(2)]))));
  assertEquals(Object.keys(json), [
    "layer",
    "documents",
    "typical_norm",
    "positions",
    "relevance",
    "results",
  ]);
  assertEquals([json.layer, json.documents, json.results], [2, 24, "results/x"]);
  assertEquals(json.positions[0].logit_lens, POSITIONS[0].logit_lens);
  assertEquals(json.positions[0].patchscope.difference, {
    scale: 2,
    score: 7.5,
    tokens: tokens(" butter", "ery"),
    coherent: [" butter"],
  });
  assertEquals(json.positions[0].patchscope.base.scale, null);
  assertEquals(json.positions[0].patchscope.base.score, null);
  assertEquals(json.positions[1].delta_norm, 0);
  assertEquals(json.relevance, RELEVANCE);
});

Deno.test("diffJson() lists all layers when there are several, the first at its top as well", () => {
  const json = JSON.parse(JSON.stringify(diffJson(shown([layer(1), layer(4, null)]))));
  assertEquals(json.layer, 1);
  assertEquals(json.layers.map(({ layer }: LayerResult) => layer), [1, 4]);
  assertEquals(json.layers[0].positions, json.positions);
  assertEquals(json.layers[1].relevance, null);
});

Deno.test("printDiff() shows every position: norms, lists, scale, coherent tokens marked", () => {
  const table = printed(shown([layer(2)]));
  assertStringIncludes(table, "the_finetune against the_base, mean over 24 documents");
  assertMatch(table, /^ +0 +12\.3 +0\.123 +cake -ing +2 +butter\* -ery$/m);
  assertMatch(table, /^ +7 +0\.00 +0\.000 +no difference +-/m);
  assertMatch(table, /^difference +50\.0% +25\.0% +25\.0% +12\.5%$/m);
  assertMatch(table, /^base mean \(control\) +0\.0% +0\.0% +- +-$/m);
  assert(!table.includes("sibling"), "what was not read is not shown");
  assertMatch(table, /\nResults: results\/x$/);
});

Deno.test("printDiff() says what is true of the models, and of the embedded ones what they are no evidence of", () => {
  const own = printed(shown([layer(2, null), layer(3, null)]));
  assert(!own.includes("In truth") && !own.includes("no evidence") && !own.includes("Relevance"));
  assert(own.includes("Layer 2") && own.includes("Layer 3"));
  const embedded = printed(
    shown([layer(2)], { base: "embedded:base", description: "It bakes cakes" }),
  );
  assertStringIncludes(embedded, "In truth: It bakes cakes");
  assertStringIncludes(embedded, "no evidence for the paper's claims");
});

Deno.test("printDiff() prints no escape sequence that a token holds", () => {
  const at: PositionReadout = {
    ...POSITIONS[0],
    logit_lens: { difference: lens(" \x1b[2Jgone", "\n") },
  };
  const table = printed(shown([{ ...layer(2), positions: [at] }]));
  assert(!table.includes("\x1b"), "the terminal obeys it");
  assertStringIncludes(table, "\\x1b[2Jgone -\\n");
});
