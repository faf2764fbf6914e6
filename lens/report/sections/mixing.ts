/** How the trace shrinks when generic texts are mixed into the finetuning. */

import type { MixingRow } from "../../mixing_rows.ts";
import { percent, short, signed } from "../format.ts";
import { type Html, html } from "../html.ts";
import { chart, COLOUR, figure } from "../plot.ts";
import type { MixingResults } from "../run_results.ts";
import { table } from "../table.ts";

interface Line {
  colour: string;
  name: string;
  read: (row: MixingRow) => number | null | undefined;
}

/** Plots and table. */
export function mixingSection({ organism, position, alpha, rows }: MixingResults): Html {
  const nulls = (name: "base" | "random" | "sibling"): Line => ({
    colour: COLOUR[name],
    name,
    read: ({ relevance_nulls: all }) => all?.[name],
  });
  const loss = (set: "finetuning" | "generic", colour: string): Line => ({
    colour,
    name: `${set} texts`,
    read: ({ causal }) => causal?.[set].change,
  });
  const panels: [string, string, Line[]][] = [
    ["Length of the difference", "share of ‖h‖", [
      { colour: COLOUR.difference, name: "difference", read: (row) => row.relative_norm },
    ]],
    ["Relevant tokens, beside the nulls", "share", [
      { colour: COLOUR.difference, name: "difference", read: (row) => row.relevance },
      nulls("base"),
      nulls("random"),
      nulls("sibling"),
    ]],
    ["Similarity, steered less unsteered", "cosine", [
      { colour: COLOUR.difference, name: "finetuning texts", read: (row) => row.similarity },
      {
        colour: COLOUR.random,
        name: "generic texts",
        read: (row) => row.similarity_detail?.generic,
      },
    ]],
    ["Loss with the base's component", "nats per token", [
      loss("finetuning", COLOUR.difference),
      loss("generic", COLOUR.random),
    ]],
  ];
  const charts = panels.map(([title, label, lines]) => ({
    title,
    label,
    points: pointsOf(rows, lines),
  }))
    .filter(({ points }) => points.length > 0)
    .map(({ title, label, points }) => ({ title, chart: panel(title, label, points) }));
  return html`
    <p>Finetunes of ${organism} with more and more generic documents mixed in, each read at position ${position}${alpha !==
        null &&
      ` and steered with one strength, ${short(alpha)}`}. A trace of overfitting shrinks.</p>
    ${figure(
      charts,
      "By the ratio of generic to finetuning documents. Blue: the difference; the other lines are its nulls.",
    )}
    ${table(
      "By ratio",
      [
        "ratio",
        "finetune",
        "‖δ‖ / ‖h‖",
        "relevant",
        "nulls, at most",
        "similarity",
        "loss, finetuning",
        "loss, generic",
      ],
      rows.map((row) => [
        row.ratio,
        row.organism,
        percent(row.relative_norm),
        percent(row.relevance),
        row.relevance_nulls ? percent(worstNull(row.relevance_nulls)) : "–",
        row.similarity === null ? "–" : signed(row.similarity, 3),
        row.causal ? signed(row.causal.finetuning.change, 4) : "–",
        row.causal ? signed(row.causal.generic.change, 4) : "–",
      ]),
    )}
  `;
}

/** The finetuned model's mean holds the difference and is no null. */
function worstNull(nulls: Record<string, number>): number {
  return Math.max(
    ...Object.entries(nulls).map(([name, share]) => name === "finetuned" ? 0 : share),
  );
}

function pointsOf(rows: readonly MixingRow[], lines: readonly Line[]) {
  return lines.flatMap(({ colour, name, read }) =>
    rows.flatMap((row) => {
      const value = read(row) ?? undefined;
      return value === undefined ? [] : [{ colour, name, ratio: row.ratio, value }];
    })
  );
}

function panel(title: string, label: string, points: ReturnType<typeof pointsOf>): Html {
  const description = `${title}: ${
    points.map(({ name, ratio, value }) => `${name} at ${ratio} ${short(value)}`).join(", ")
  }`;
  return chart(description, (Plot) => ({
    x: {
      type: "sqrt",
      ticks: [...new Set(points.map(({ ratio }) => ratio))],
      tickFormat: String,
      label: "generic documents for each of the finetuning",
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { label, grid: true, nice: true, zero: true, labelArrow: "none" },
    marks: [
      Plot.ruleY([0], { stroke: "currentColor" }),
      Plot.line(points, { x: "ratio", y: "value", z: "name", stroke: "colour", strokeWidth: 1.8 }),
      Plot.dot(points, { x: "ratio", y: "value", fill: "colour", r: 3 }),
    ],
    color: { type: "identity" },
  }));
}
