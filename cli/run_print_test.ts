import { assert, assertMatch, assertStringIncludes } from "@std/assert";
import type { PipelineSummary } from "../lens/summary.ts";
import { summaryText } from "./run_print.ts";

const effect = (change: number) => ({
  tokens: 100,
  loss: 2,
  change,
  change_interval: [change - 0.1, change + 0.1] as [number, number],
  random_change: null,
  random_difference_change: null,
});

const SUMMARY: PipelineSummary = {
  base: "base",
  finetuned: "tuned",
  description: null,
  layer: 2,
  documents: 8,
  seed: 0,
  relevance: { difference: 0.5, random: 0.02 },
  positions: [{
    position: 1,
    delta_norm: 10,
    relative_norm: 0.25,
    scale: 3,
    logit_lens: [" cake", "\x1b[2J"],
    patchscope: [],
    alpha: 2.5,
    similarity: { steered: 0.3, unsteered: 0.1, difference: 0.2, interval: [0.1, 0.3], generic: 0 },
    causal: { finetuning: effect(0.2), generic: effect(-0.1) },
  }],
  left_out: [],
  results: "out",
};

Deno.test("summaryText: every number with its file, and nothing that moves the cursor", () => {
  const text = summaryText(SUMMARY);
  assertStringIncludes(text, "50.0%\n  beside random 2.0%");
  assertMatch(
    text,
    /similarity +steered 0\.300, unsteered 0\.100: \+0\.200 \[\+0\.100, \+0\.300\]/,
  );
  assertStringIncludes(text, "generic    2.000 -0.1000 [-0.2000, +0.0000]");
  for (const file of ["diff/readout_2", "steer/steer_2_1", "similarity", "causal/causal_2_base"]) {
    assertStringIncludes(text, `${file}.json`);
  }
  assert(!text.includes("\x1b"));
});

Deno.test("summaryText: what was left out is said", () => {
  const [at] = SUMMARY.positions;
  const text = summaryText({
    ...SUMMARY,
    relevance: null,
    positions: [{ ...at, alpha: null, similarity: null, causal: null }],
    left_out: [{ step: "steering", why: "--no-steer" }],
  });
  assertStringIncludes(text, "Left out: steering (--no-steer)");
  assert(!/strength|causal|Relevance/.test(text));
});
