/** What `deno task run` prints for people: every number with the file it comes from. */

import type { PipelineSummary, Range, SummaryEffect, SummaryPosition } from "../lens/summary.ts";
import { agentText } from "./agent_print.ts";
import { gradingLine } from "./graders.ts";
import type { PipelineShown } from "./pipeline.ts";
import { visible } from "./visible.ts";
import { wrap } from "./wrap.ts";

/** Prints the summary. */
export function printSummary(shown: PipelineShown): void {
  const grading = shown.grading ? `\n\n${gradingLine(shown.grading)}` : "";
  const agents = shown.agents ? `\n\n${agentText(shown.agents, false)}` : "";
  console.log(`\n${summaryText(shown)}${agents}${grading}`);
}

/** The summary, as lines. */
export function summaryText(summary: PipelineSummary): string {
  const { base, finetuned, description, layer, relevance, positions, left_out, results } = summary;
  const lines = [
    visible(`${finetuned} against ${base}, layer ${layer}, ${summary.documents} documents`),
  ];
  if (description) lines.push(wrap(visible(`In truth: ${description}`)));
  if (relevance) lines.push("", ...relevanceLines(relevance, layer));
  for (const position of positions) lines.push("", ...positionLines(position, layer));
  lines.push(...left_out.map(({ step, why }) => `\nLeft out: ${step} (${why})`));
  lines.push(`\nEvery number: ${visible(results)}/summary.json`);
  lines.push(`To read: ${visible(results)}/report.html (checked by deno task verify)`);
  return lines.join("\n");
}

function relevanceLines(relevance: Record<string, number>, layer: number): string[] {
  const { difference, ...others } = relevance;
  const beside = Object.entries(others).map(([name, share]) => `${name} ${percent(share)}`);
  return [
    `Relevance of the top 20 tokens to the finetuning: ${percent(difference)}`,
    `  beside ${beside.join(", ")}`,
    from(`diff/graded_relevance_${layer}.json`),
  ];
}

function positionLines(at: SummaryPosition, layer: number): string[] {
  const { position, delta_norm, relative_norm, scale, alpha, similarity, causal } = at;
  const lines = [
    `Position ${position}`,
    `  difference   norm ${delta_norm.toPrecision(3)}, ${
      percent(relative_norm)
    } of the activations'`,
    `  logit lens   ${words(at.logit_lens)}`,
    `  Patchscope   ${words(at.patchscope)} (scale ${scale ?? "not found"})`,
    from(`diff/readout_${layer}.json`),
  ];
  if (alpha !== null) {
    const file = `steer/steer_${layer}_${position}.json`;
    lines.push(`  steering     strength ${alpha.toPrecision(4)}`, from(file));
  }
  if (similarity) {
    const { steered, unsteered, difference, interval, generic } = similarity;
    lines.push(
      `  similarity   steered ${steered.toFixed(3)}, unsteered ${unsteered.toFixed(3)}: ` +
        `${signed(difference, 3)} ${range(interval, 3)}; with generic texts ${signed(generic, 3)}`,
      from("similarity.json"),
    );
  }
  if (causal) {
    lines.push(
      `  causal       loss, nats per token, and its change with the base's component`,
      `    finetuning ${effect(causal.finetuning)}`,
      `    generic    ${effect(causal.generic)}`,
      from(`causal/causal_${layer}_base.json`),
    );
  }
  return lines;
}

function effect({ loss, change, change_interval, random_change }: SummaryEffect): string {
  const random = random_change ? `; random directions ${range(random_change, 4)}` : "";
  return `${loss.toFixed(3)} ${signed(change, 4)} ${range(change_interval, 4)}${random}`;
}

const from = (file: string) => `      ${file}`;
const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
const words = (tokens: readonly string[]) => tokens.map((token) => visible(token.trim())).join(" ");
const signed = (value: number, digits: number) =>
  `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(digits)}`;
const range = (ends: Range, digits: number) =>
  `[${ends.map((end) => signed(end, digits)).join(", ")}]`;
