import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { LayerResult } from "../lens/run_diff.ts";
import type { LayerSpectrum, LayerStability } from "../lens/run_samples.ts";
import { diffJson, type DiffShown, printDiff } from "./diff_print.ts";
import { interpolationLines, spectrumLines, stabilityLines } from "./diff_print_options.ts";

const token = (text: string) => ({ token: text, id: text.length, prob: 0.1 });
const readout = (...texts: string[]) => ({ top: texts.map(token), bottom: [] });
const scope = (...texts: string[]) => {
  return { scale: 2, tokens: texts.map(token), coherent: texts.slice(0, 1), scales: [] };
};

const directions = (few: number, most: number, all: number) => {
  return { directions: { 50: few, 90: most, 99: all }, effective: most, shares: [] };
};
const SPECTRUM: LayerSpectrum = {
  layer: 3,
  documents: 24,
  of_documents: 24,
  positions: [1, 2].map((position) => ({
    position,
    energy: 4,
    mean_share: 0.25,
    uncentred: directions(2, 16, 31),
    centred: directions(5, 19, 34),
  })),
};

const STABILITY: LayerStability = {
  layer: 3,
  documents: 24,
  of_documents: 90,
  draws: 100,
  positions: [{
    position: 1,
    cosine: { mean: 0.9876, low: 0.95 },
    relative_norm: { value: 0.2, low: 0.19, high: 0.22 },
    tokens: [
      { ...token(" cake"), rank: { low: 1, median: 1, high: 1 } },
      { ...token("\x1bery"), rank: { low: 2, median: 7, high: null } },
    ],
    sizes: [],
    enough: { cosine: 16, tokens: null },
  }],
};

const layer = (index: number): LayerResult => ({
  layer: index,
  typical_norm: 20,
  positions: [0, 1].map((position) => ({
    position,
    delta_norm: 3,
    relative_norm: 0.1 + 0.2 * position,
    logit_lens: { difference: readout(position === 1 ? " cake" : " elsewhere", "ing") },
    patchscope: { difference: scope(" butter", "ery") },
  })),
  relevance: {
    difference: 0.5,
    base: 0.3,
    finetuned: 0.4,
    random: 0.01,
    sibling: 0.02,
    logit_lens: {},
    patchscope: {},
    keywords: [],
  },
});

const INTERPOLATION = {
  documents: 8,
  layers: [{
    layer: 3,
    positions: [0, 1].map((position) => ({
      position,
      points: [
        {
          strength: 0.5,
          norm: 2,
          relative_norm: 0.4,
          cosine: 0.98,
          off_line: 0.25,
          top: [token(" cake")],
        },
        { strength: 1, norm: 5, relative_norm: 1, cosine: 1, off_line: 0, top: [token(" cake")] },
      ],
    })),
  }],
};

const shown = (results: LayerResult[], more: Partial<DiffShown> = {}): DiffShown => ({
  plan: { base: "./b" } as DiffShown["plan"],
  results,
  documents: 24,
  folder: "results/x",
  ...more,
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

Deno.test("spectrumLines() says on how many documents, and counts directions with and without the mean", () => {
  const table = spectrumLines([{ ...layer(3), spectrum: SPECTRUM }])!;
  assertStringIncludes(table, "Spectrum of 24 documents");
  assertMatch(table, /^ +3 +1 +25\.0% +2 +16 +31 +5 +19 +34$/m);
  assertMatch(table, /^ +3 +2 +25\.0%/m);
  assert(
    !/^ +3 +2 /m.test(spectrumLines([{ ...layer(3), spectrum: SPECTRUM }], 1)!),
    "one position",
  );
  assertEquals(spectrumLines([layer(3)]), undefined);
});

Deno.test("stabilityLines() shows intervals, ranks, and what is not known", () => {
  const table = stabilityLines([{ ...layer(3), stability: STABILITY }])!;
  assertStringIncludes(table.replace(/\s+/g, " "), "100 draws of 24 (of 90) documents");
  assertMatch(table, /^ +3 +1 +0\.988 +0\.950 +0\.190-0\.220 +cake:1 -\\x1bery:2->100 +16 +more$/m);
  assertEquals(stabilityLines([layer(3)]), undefined);
  const none = { ...STABILITY, positions: [] };
  assertEquals(stabilityLines([{ ...layer(3), stability: none }]), undefined, "no difference");
});

Deno.test("interpolationLines() shows each model by the finetuned one", () => {
  const table = interpolationLines(INTERPOLATION);
  assertMatch(table, /^ +3 +0 +0\.5 +2\.00 +0\.400 +0\.980 +25\.0% +cake$/m);
  assertMatch(table, /^ +3 +1 +1 +5\.00 +1\.000 +1\.000 +0\.0% +cake$/m);
  assert(!/^ +3 +0 /m.test(interpolationLines(INTERPOLATION, 1)));
});

Deno.test("printDiff() shows many layers in a line each, and their options at one position", () => {
  const results = [0, 1, 2, 3].map(layer);
  results[3].spectrum = SPECTRUM;
  const table = printed(shown(results, { interpolation: INTERPOLATION }));
  assertMatch(table, /logit lens at 1 +Patchscope at 1/);
  assertMatch(table, /^ +2 +0\.200 +cake -ing +butter\* -ery +50\.0% +2\.0%$/m);
  assertStringIncludes(table, "readout_N.json for N = 0 … 3");
  assert(
    !table.includes("elsewhere") && !table.includes("Layer 2:"),
    "no table of each layer's own",
  );
  assertMatch(table, /^ +3 +1 +25\.0%/m);
  assert(!/^ +3 +2 +25\.0%/m.test(table) && !/^ +3 +0 +0\.5/m.test(table));
  assert(table.split("\n").length < 40, "it can be read");
  assertStringIncludes(printed(shown(results.slice(0, 3))), "Layer 2:");
});

Deno.test("printDiff() says when there is no text, and whose head is read through", () => {
  const table = printed(shown([layer(3)], { bosOnly: true, readThrough: "base" }));
  assertStringIncludes(table, "the_base, on the token that begins a text, alone");
  assertStringIncludes(table, "through the base's final norm and unembedding");
  assert(!printed(shown([layer(3)])).includes("final norm"));
});

Deno.test("diffJson() has what was asked for, in each layer and beside them", () => {
  const results = [{ ...layer(3), spectrum: SPECTRUM, stability: STABILITY }, layer(4)];
  const json = diffJson(shown(results, { interpolation: INTERPOLATION }));
  assertEquals([json.spectrum, json.stability], [SPECTRUM, STABILITY]);
  assertEquals(json.interpolate, INTERPOLATION);
  const [first, second] = json.layers as Record<string, unknown>[];
  assertEquals([first.spectrum, second.spectrum], [SPECTRUM, undefined]);
  assert(!("interpolate" in diffJson(shown([layer(3)]))));
});
