/** Whether steered texts are like those of the finetuning. */

import type { PositionSimilarity } from "../../summary.ts";
import { interval, signed } from "../format.ts";
import { type Html, html } from "../html.ts";
import { chart, COLOUR, figure } from "../plot.ts";
import { table } from "../table.ts";

type Interval = readonly [low: number, high: number];

/** One mean cosine. */
interface Row {
  with: string;
  texts: string;
  value: number;
  low: number;
  high: number;
}

/** Plot and table of every position. */
export function similaritySection(positions: readonly PositionSimilarity[]): Html {
  const [{ embedder, references, texts }] = positions;
  const charts = positions.map((at) => ({
    title: `Position ${at.position}`,
    chart: intervals(at),
  }));
  return html`
    <p>The mean cosine of the steered texts with ${texts
      .finetuning} texts of the finetuning, beside that of the unsteered ones, and the same
    with ${texts
      .generic} generic texts, where steering should raise nothing. Texts are compared by ${embedder ===
        "tf-idf"
      ? "their words (TF-IDF)"
      : html`the embeddings of ${embedder}`}. To measure by: the finetuning's texts among themselves have ${references
      .among_finetuning?.toFixed(3) ?? "no other"}, generic ones with them ${references
      .generic_to_finetuning.toFixed(3)}.</p>
    ${figure(
      charts,
      "Dots are means over all pairs, lines 95 % intervals by bootstrap over the texts.",
    )}
    ${table(
      "Mean cosines",
      ["position", "compared with", "steered", "unsteered", "steered less unsteered"],
      positions.flatMap(({ position, confidence, generic, ...own }) => [
        row(position, "the finetuning's texts", own, confidence),
        row(position, "generic texts", generic, confidence.generic),
      ]),
    )}
  `;
}

function row(
  position: number,
  name: string,
  own: { steered: number; unsteered: number; difference: number },
  confidence: { difference: Interval },
) {
  return [
    position,
    name,
    own.steered.toFixed(4),
    own.unsteered.toFixed(4),
    `${signed(own.difference, 4)} ${interval(confidence.difference, 4)}`,
  ];
}

function intervals({ confidence, generic, ...own }: PositionSimilarity): Html {
  const rows: Row[] = [
    { with: "finetuning", means: own, ranges: confidence },
    { with: "generic", means: generic, ranges: confidence.generic },
  ].flatMap(({ with: name, means, ranges }) =>
    (["steered", "unsteered"] as const).map((texts) => ({
      with: name,
      texts,
      value: means[texts],
      low: ranges[texts][0],
      high: ranges[texts][1],
    }))
  );
  const description = `Mean cosines: ${
    rows.map((one) => `${one.texts} with ${one.with} texts ${one.value.toFixed(3)}`).join(", ")
  }`;
  const name = (one: Row) => `${one.texts}, ${one.with}`;
  const colour = (one: Row) => one.texts === "steered" ? COLOUR.difference : COLOUR.random;
  return chart(description, (Plot) => ({
    height: 176,
    marginLeft: 146,
    marginTop: 8,
    marginRight: 14,
    x: { label: "cosine", grid: true, nice: true, labelAnchor: "center", labelArrow: "none" },
    y: { domain: rows.map(name), label: null },
    marks: [
      Plot.ruleY(rows, { y: name, x1: "low", x2: "high", stroke: colour, strokeWidth: 2 }),
      Plot.dot(rows, { y: name, x: "value", fill: colour, r: 4 }),
    ],
  }));
}
