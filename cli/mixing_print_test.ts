import { assert, assertStringIncludes } from "@std/assert";
import { mixingTable } from "./mixing_print.ts";

Deno.test("mixingTable: a line for each ratio; what was not measured is a dash", () => {
  const row = {
    ratio: 0.5,
    organism: "cake",
    delta_norm: 3,
    relative_norm: 0.25,
    relevance: 0.4,
    relevance_nulls: { random: 0.02 },
    similarity: 0.2,
    similarity_detail: {
      steered: 0.3,
      unsteered: 0.1,
      difference: 0.2,
      interval: [0.1, 0.3] as const,
      generic: -0.01,
    },
    causal: null,
    results: "out/ratio_0.5",
  };
  const empty = { relevance: null, relevance_nulls: null, similarity: null };
  const rows = [row, { ...row, ...empty, ratio: 2, similarity_detail: null }];
  const shown = { organism: "cake", position: 1, alpha: 1.5, rows, results: "out" };
  const text = mixingTable(shown);
  const lines = text.split("\n").map((line) => line.trim().split(/ {2,}/).join("|"));
  assert(lines.includes("0.5|0.250|40.0%|2.0%|-|0.100|+0.200 (-0.010)|-|-"), text);
  assert(lines.includes("2|0.250|-|-|-|-|-|-|-"), text);
  assertStringIncludes(text, "strength 1.500");
  assert(!mixingTable({ ...shown, alpha: null }).includes("strength"));
});
