/** The plot of the mixing experiment: small multiples over the ratio of generic to finetuning documents, as an SVG. */

import * as Plot from "@observablehq/plot";
import type { MixingRow } from "./mixing_rows.ts";
import type { Range } from "./summary.ts";
import {
  COLOURS,
  element,
  newDocument,
  SVG,
  type SvgDocument,
  type SvgElement,
} from "./svg_document.ts";

/** One measurement of one panel. */
interface Point {
  ratio: number;
  series: string;
  value: number;
  interval?: Range;
}

interface Panel {
  title: string;
  label: string;
  points: Point[];
}

const PANEL = { width: 420, height: 290, title: 44 };

/** The SVG, a document of its own; the same rows give the same bytes. */
export function mixingPlot(rows: readonly MixingRow[]): string {
  const document = newDocument();
  const panels = panelsOf(rows).filter(({ points }) => points.length > 0);
  const columns = Math.min(2, panels.length);
  const height = PANEL.height + PANEL.title;
  const svg = element(document, "svg", {
    xmlns: SVG,
    width: columns * PANEL.width,
    height: Math.ceil(panels.length / columns) * height,
    "font-family": "system-ui, sans-serif",
  });
  svg.append(element(document, "rect", { width: "100%", height: "100%", fill: "white" }));
  const ratios = [...new Set(rows.map(({ ratio }) => ratio))];
  panels.forEach((panel, i) => {
    const at = { x: (i % columns) * PANEL.width, y: Math.floor(i / columns) * height };
    const series = [...new Set(panel.points.map((point) => point.series))];
    svg.append(heading(document, panel, series, at));
    const chart = chartOf(document, panel, series, ratios);
    chart.setAttribute("x", String(at.x));
    chart.setAttribute("y", String(at.y + PANEL.title));
    svg.append(chart);
  });
  return `${svg.outerHTML}\n`;
}

function panelsOf(rows: readonly MixingRow[]): Panel[] {
  const series = (
    name: string,
    read: (row: MixingRow) => number | null | undefined,
    interval?: (row: MixingRow) => Range | undefined,
  ): Point[] =>
    rows.flatMap((row) => {
      const value = read(row) ?? undefined;
      if (value === undefined) return [];
      return [{ ratio: row.ratio, series: name, value, interval: interval?.(row) }];
    });
  const change = (set: "finetuning" | "generic") =>
    series(
      `${set} texts`,
      ({ causal }) => causal?.[set].change,
      ({ causal }) => causal?.[set].change_interval,
    );
  return [
    {
      title: "Size of the difference",
      label: "norm, share of the activations'",
      points: series("difference", (row) => row.relative_norm),
    },
    {
      title: "Relevance of the top 20 tokens",
      label: "share that is relevant",
      points: [
        ...series("difference", (row) => row.relevance),
        ...series("random", (row) => row.relevance_nulls?.random),
        ...series("sibling", (row) => row.relevance_nulls?.sibling),
        ...series("base", (row) => row.relevance_nulls?.base),
      ],
    },
    {
      title: "Steering similarity, steered less unsteered",
      label: "cosine",
      points: [
        ...series(
          "finetuning texts",
          ({ similarity_detail: like }) => like?.difference,
          ({ similarity_detail: like }) => like?.interval,
        ),
        ...series("generic texts", ({ similarity_detail: like }) => like?.generic),
      ],
    },
    {
      title: "Loss with the base's component",
      label: "change, nats per token",
      points: [...change("finetuning"), ...change("generic")],
    },
  ];
}

function chartOf(
  document: SvgDocument,
  { label, points }: Panel,
  series: readonly string[],
  ratios: readonly number[],
): SvgElement {
  const xy = { x: "ratio", y: "value", stroke: "series", z: "series" } as const;
  const measured = points.filter(({ interval }) => interval)
    .map(({ interval, ...point }) => ({ ...point, low: interval![0], high: interval![1] }));
  return Plot.plot({
    document: document as never,
    className: "mixing",
    width: PANEL.width,
    height: PANEL.height,
    marginLeft: 56,
    marginRight: 24,
    insetLeft: 8,
    // Ratios near 0 would lie on top of each other.
    x: {
      type: "sqrt",
      ticks: [...ratios],
      tickFormat: String,
      label: "generic documents for each finetuning document",
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { label, grid: true, nice: true, zero: true, labelArrow: "none" },
    color: { domain: [...series], range: COLOURS },
    marks: [
      Plot.ruleY([0], { stroke: "#555" }),
      Plot.ruleX(measured, { x: "ratio", y1: "low", y2: "high", stroke: "series" }),
      Plot.line(points, xy),
      Plot.dot(points, { ...xy, fill: "white", r: 3.5 }),
    ],
  }) as unknown as SvgElement;
}

/** The panel's title, and below it the names of its lines in their colours. */
function heading(
  document: SvgDocument,
  { title }: Panel,
  series: readonly string[],
  { x, y }: { x: number; y: number },
): SvgElement {
  const group = element(document, "g", { transform: `translate(${x + 14},${y + 20})` });
  const name = element(document, "text", { "font-size": 14, "font-weight": 600 });
  name.textContent = title;
  group.append(name);
  if (series.length < 2) return group;
  const names = element(document, "text", { "font-size": 11, y: 18 });
  series.forEach((text, i) => {
    const part = element(document, "tspan", { fill: COLOURS[i], ...(i > 0 && { dx: 12 }) });
    part.textContent = text;
    names.append(part);
  });
  group.append(names);
  return group;
}
