/** What `deno task mixing` prints for people. */

import type { MixingResult } from "./mixing.ts";
import { formatTable } from "./table.ts";
import { visible } from "./visible.ts";
import { wrap } from "./wrap.ts";

const LEGEND =
  "|d|/|h|: norm of the difference over that of the activations. relevance: mean share of relevant tokens among the top 20 " +
  "over positions 0-4, beside random directions and another finetune's difference. unsteered: similarity of unsteered " +
  "texts to the finetuning's; what steering adds to it, and in brackets to that with generic texts, which is the null. loss: its change in nats per token when the " +
  "component along the difference is replaced by the base's, with its 95 % interval.";

/** The table, with what it means. */
export function mixingTable({ organism, position, alpha, rows, results }: MixingResult): string {
  const right = { align: "right" as const, minWidth: 5 };
  const columns = [
    { title: "ratio", ...right },
    { title: "|d|/|h|", ...right, minWidth: 7 },
    { title: "relevance", ...right, minWidth: 9 },
    { title: "random", ...right, minWidth: 6 },
    { title: "sibling", ...right, minWidth: 7 },
    { title: "unsteered", ...right, minWidth: 9 },
    { title: "steered less it", minWidth: 15 },
    { title: "loss, finetuning", minWidth: 23 },
    { title: "loss, generic", minWidth: 23 },
  ];
  const lines = rows.map(({ causal, similarity_detail: like, ...row }) => [
    String(row.ratio),
    row.relative_norm.toFixed(3),
    percent(row.relevance),
    percent(row.relevance_nulls?.random),
    percent(row.relevance_nulls?.sibling),
    like ? like.unsteered.toFixed(3) : "-",
    like ? `${signed(like.difference, 3)} (${signed(like.generic, 3)})` : "-",
    change(causal?.finetuning),
    change(causal?.generic),
  ]);
  const strength = alpha === null ? "" : `, steered with strength ${alpha.toPrecision(4)}`;
  return [
    `${organism} with generic texts mixed into its finetuning, position ${position}${strength}`,
    `\n${formatTable(columns, lines)}\n`,
    wrap(LEGEND),
    `\nPlot: ${visible(results)}/mixing.svg`,
    `Results: ${visible(results)}`,
  ].join("\n");
}

function change(effect?: { change: number; change_interval: readonly number[] }): string {
  if (!effect) return "-";
  const [low, high] = effect.change_interval.map((end) => signed(end, 3));
  return `${signed(effect.change, 3)} [${low}, ${high}]`;
}

const signed = (value: number, digits: number) =>
  `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(digits)}`;
const percent = (share: number | null | undefined) =>
  share === null || share === undefined ? "-" : `${(100 * share).toFixed(1)}%`;
