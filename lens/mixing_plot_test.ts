import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { mixingPlot } from "./mixing_plot.ts";
import type { MixingRow } from "./mixing_rows.ts";

const effect = (change: number) => ({
  change,
  change_interval: [change - 0.01, change + 0.01] as const,
  random_change: null,
});

function row(ratio: number, less: Partial<MixingRow> = {}): MixingRow {
  const size = 1 / (1 + ratio);
  return {
    ratio,
    organism: `cake_${ratio}`,
    delta_norm: 3 * size,
    relative_norm: 0.3 * size,
    relevance: 0.6 * size,
    relevance_nulls: { base: 0.1, random: 0.05, sibling: 0.02 },
    similarity: 0.1 * size,
    similarity_detail: {
      steered: 0.2 * size,
      unsteered: 0.1 * size,
      difference: 0.1 * size,
      interval: [0.05, 0.2],
      generic: 0.01,
    },
    causal: { finetuning: effect(0.2 * size), generic: effect(-0.02 * size) },
    results: "out",
    ...less,
  };
}

const RATIOS = [0, 0.1, 0.5, 1, 2];

/** Fails unless every tag is closed by its own, and gives how many there are of each. */
function tags(svg: string): Record<string, number> {
  const open: string[] = [];
  const counts: Record<string, number> = {};
  for (const [, end, name, self] of svg.matchAll(/<(\/?)([a-zA-Z]+)[^<>]*?(\/?)>/g)) {
    if (end) assertEquals(open.pop(), name);
    else {
      counts[name] = (counts[name] ?? 0) + 1;
      if (!self) open.push(name);
    }
  }
  assertEquals(open, []);
  return counts;
}

Deno.test("mixingPlot: a well-formed SVG with a point for each line and ratio", () => {
  const svg = mixingPlot(RATIOS.map((ratio) => row(ratio)));
  assert(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/.test(svg), svg.slice(0, 120));
  const { svg: panels, circle } = tags(svg);
  assertEquals(panels, 1 + 4, "four panels in one");
  assertEquals(circle, RATIOS.length * (1 + 4 + 2 + 2), "difference, relevance, similarity, loss");
  assert(!/NaN|undefined|Infinity/.test(svg), "every point has its place");
  for (const text of ["Steering similarity", "sibling", "finetuning texts", ">0.1<"]) {
    assertStringIncludes(svg, text);
  }
  assertEquals(mixingPlot(RATIOS.map((ratio) => row(ratio))), svg, "the same bytes again");
});

Deno.test("mixingPlot: what was not measured has no panel", () => {
  const less = { similarity: null, similarity_detail: null, causal: null };
  const svg = mixingPlot([row(0, less), row(2, { ...less, relevance_nulls: null })]);
  const { svg: panels, circle } = tags(svg);
  assertEquals([panels, circle], [1 + 2, 2 * 2 + 3], "the nulls are known at one ratio");
  assert(!svg.includes("Steering similarity"));
});
