/** What `deno task similarity` prints for people. */

import type { Similarity } from "../lens/similarity/similarity.ts";
import { formatTable } from "./table.ts";
import { visible } from "./visible.ts";
import { wrap } from "./wrap.ts";

const ROWS = ["steered", "unsteered", "difference"] as const;

const LEGEND =
  "Mean cosine over all pairs of texts; in brackets 95 % intervals by bootstrap over the generated texts. Steering that " +
  "brings out the finetuning raises the first column and not the second. The last row says how alike the finetuning's " +
  "own texts are, and how like them the generic ones.";

/** The table, with what it means. */
export function similarityTable(found: Similarity): string {
  const { texts, generic, confidence, references, embedder } = found;
  const number = (value: number | null) => value === null ? "-" : value.toFixed(3);
  const range = ([low, high]: readonly number[]) => `[${number(low)}, ${number(high)}]`;
  const title = {
    steered: `steered (${texts.steered})`,
    unsteered: `unsteered (${texts.unsteered})`,
    difference: "difference",
  };
  const rows = ROWS.map((row) => [
    title[row],
    number(found[row]),
    range(confidence[row]),
    number(generic[row]),
    range(confidence.generic[row]),
  ]);
  const { among_finetuning, generic_to_finetuning } = references;
  const last = ["finetuning texts", number(among_finetuning), "", number(generic_to_finetuning)];
  const columns = [
    { title: "texts", minWidth: 12 },
    { title: `to ${texts.finetuning} finetuning texts`, align: "right" as const },
    { title: "" },
    { title: `to ${texts.generic} generic texts`, align: "right" as const },
    { title: "" },
  ];
  return `Similarity by ${visible(embedder)}\n\n${formatTable(columns, [...rows, last])}\n\n${
    wrap(LEGEND)
  }`;
}
