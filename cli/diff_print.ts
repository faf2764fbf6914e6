/** What `deno task diff` prints: one table a layer for people, or one JSON object for machines. */

import type { PatchscopeReadout, PositionReadout } from "../lens/readout.ts";
import type { LayerResult } from "../lens/run_diff.ts";
import type { InterpolationResult } from "../lens/run_interpolation.ts";
import { RELEVANCE_NAMES, type TopicRelevance } from "../lens/topic.ts";
import { EMBEDDED } from "../models/embedded.ts";
import type { DiffPlan } from "./diff_inputs.ts";
import { interpolationLines, spectrumLines, stabilityLines } from "./diff_print_options.ts";
import { gradingLine, type GradingShown } from "./graders.ts";
import { layersTable, shownPosition } from "./layers_table.ts";
import { formatTable } from "./table.ts";
import { percent, tokenList } from "./token_list.ts";
import { wrap } from "./wrap.ts";

/** A finished run. */
export interface DiffShown {
  plan: DiffPlan;
  /** Whether the documents are chats. */
  chat?: boolean;
  /** Whether there is nothing but the token that begins a text. */
  bosOnly?: boolean;
  /** Whose final norm and unembedding the logit lens used (default: the finetuned model's). */
  readThrough?: "base" | "finetuned";
  results: readonly LayerResult[];
  /** Models between the two, where they were asked for. */
  interpolation?: InterpolationResult;
  /** Documents that were averaged over. */
  documents: number;
  /** What an LLM's grades took. */
  grading?: GradingShown;
  /** The results folder. */
  folder: string;
}

/** From so many layers on they are a table of a line each, and their own tables stay in the results folder. */
const MANY_LAYERS = 4;

/** The object of `--json`: the first layer's readout, and every layer's under `layers` when there are several. */
export function diffJson(shown: DiffShown): Record<string, unknown> {
  const { results, interpolation, documents, grading, folder } = shown;
  const layers = results.map((result) => ({
    layer: result.layer,
    documents,
    typical_norm: result.typical_norm,
    positions: result.positions.map((position) => ({
      ...position,
      logit_lens: withoutNulls(position.logit_lens, (read) => read),
      patchscope: withoutNulls(position.patchscope, briefPatchscope),
    })),
    relevance: result.relevance,
    ...(result.spectrum && { spectrum: result.spectrum }),
    ...(result.stability && { stability: result.stability }),
  }));
  return {
    ...layers[0],
    ...(layers.length > 1 && { layers }),
    ...(interpolation && { interpolate: interpolation }),
    ...(grading && { grading }),
    results: folder,
  };
}

/** The readouts of the nulls are long and in the results folder; their relevance is all that is printed. */
function withoutNulls<From, To>(readouts: Record<string, From>, brief: (read: From) => To) {
  const kept = Object.entries(readouts).filter(([name]) => !/^(random_|sibling)/.test(name));
  return Object.fromEntries(kept.map(([name, read]) => [name, brief(read)]));
}

/** Without the lists of the scales that were not chosen: those are in the results folder. */
function briefPatchscope({ scale, tokens, coherent, scales }: PatchscopeReadout) {
  const score = scales.find((list) => list.scale === scale)?.score ?? null;
  return { scale, score, tokens, coherent };
}

/** Prints every layer. */
export function printDiff(shown: DiffShown & { names: [string, string] }): void {
  const { plan, results, folder, names: [base, finetuned] } = shown;
  console.log(`\n${finetuned} against ${base}, ${meanOver(shown)}`);
  if (plan.description) console.log(wrap(`In truth: ${plan.description}`));
  if (shown.readThrough === "base") {
    console.log("The logit lens reads through the base's final norm and unembedding");
  }
  const only = results.length >= MANY_LAYERS ? shownPosition(results) : undefined;
  if (only !== undefined) {
    console.log(`\nEvery layer: what the difference of the activations says`);
    console.log(layersTable(results));
  } else for (const result of results) printLayer(result);
  for (const lines of [spectrumLines(results, only), stabilityLines(results, only)]) {
    if (lines) console.log(`\n${lines}`);
  }
  if (shown.interpolation) console.log(`\n${interpolationLines(shown.interpolation, only)}`);
  console.log(`\n${wrap(LEGEND)}`);
  if (plan.base.startsWith(EMBEDDED)) console.log(wrap(EMBEDDED_CAVEAT));
  if (shown.grading) console.log(`\n${gradingLine(shown.grading)}`);
  console.log(`\nResults: ${folder}`);
}

function meanOver({ chat, bosOnly, documents }: DiffShown): string {
  if (bosOnly) return "on the token that begins a text, alone";
  const what = chat
    ? "answers in unrelated chats (position 0: the answer's first token)"
    : "documents of unrelated text";
  return `mean over ${documents} ${what}`;
}

function printLayer({ layer, positions, relevance }: LayerResult): void {
  console.log(`\nLayer ${layer}: what the difference of the activations says`);
  console.log(readoutTable(positions));
  if (!relevance) return;
  console.log("\nRelevance: the share of the top 20 tokens that belong to the finetuning's topic");
  console.log(relevanceTable(relevance));
}

const LEGEND =
  "Lists: likeliest token first; -x is a piece of a word that goes on from the token before; * marks tokens that are " +
  "alike, which need not be about the finetuning. |d| is the norm of the difference, |d|/|h| its ratio to the finetuned " +
  "model's activations. The finetuned model's mean holds the difference, so it may show some of it.";

const EMBEDDED_CAVEAT =
  "The embedded models demonstrate the pipeline and are no evidence for the paper's claims: the base was trained with " +
  "an early-exit loss that makes its middle layers readable (see README.md).";

const LENS_TOKENS = 6;
const PATCHSCOPE_TOKENS = 7;

function readoutTable(positions: readonly PositionReadout[]): string {
  const columns = [
    { title: "position", align: "right" as const, minWidth: 8 },
    { title: "|d|", align: "right" as const, minWidth: 5 },
    { title: "|d|/|h|", align: "right" as const, minWidth: 7 },
    { title: "logit lens", minWidth: 30 },
    { title: "scale", align: "right" as const, minWidth: 5 },
    { title: "Patchscope", minWidth: 30 },
  ];
  const rows = positions.map(({ position, delta_norm, relative_norm, logit_lens, patchscope }) => {
    const scope = patchscope.difference;
    return [
      String(position),
      delta_norm.toPrecision(3),
      relative_norm.toFixed(3),
      logit_lens.difference ? tokenList(logit_lens.difference.top, LENS_TOKENS) : "no difference",
      scope?.scale === null || scope === undefined ? "-" : String(scope.scale),
      scope ? tokenList(scope.tokens, PATCHSCOPE_TOKENS, new Set(scope.coherent)) : "",
    ];
  });
  return formatTable(columns, rows);
}

const ROW_TITLES: Record<string, string> = {
  difference: "difference",
  base: "base mean (control)",
  finetuned: "finetuned mean (control)",
  random: "random directions (null)",
  sibling: "sibling's difference (null)",
};

function relevanceTable(relevance: TopicRelevance): string {
  const columns = [
    { title: "vector", minWidth: 27 },
    { title: "logit lens", align: "right" as const, minWidth: 10 },
    { title: "by prob.", align: "right" as const },
    { title: "Patchscope", align: "right" as const, minWidth: 10 },
    { title: "by prob.", align: "right" as const },
  ];
  const rows = RELEVANCE_NAMES.filter((name) => relevance.logit_lens[name]).map((name) => [
    ROW_TITLES[name],
    percent(relevance.logit_lens[name].share),
    percent(relevance.logit_lens[name].weighted_share),
    percent(relevance.patchscope[name]?.share),
    percent(relevance.patchscope[name]?.weighted_share),
  ]);
  return formatTable(columns, rows);
}
