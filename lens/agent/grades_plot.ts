/** The plot of the agents' grades: the share of runs graded at least 2, 3 and 4, by budget, a line for each agent, as an SVG. */

import * as Plot from "@observablehq/plot";
import {
  COLOURS,
  element,
  newDocument,
  SVG,
  type SvgDocument,
  type SvgElement,
} from "../svg_document.ts";
import { AGENTS, type Aggregate } from "./results.ts";

const PANEL = { width: 280, height: 250, title: 52 };

const GRADES = [2, 3, 4] as const;

/** Agents at one budget stand beside each other, so that their intervals can be told apart. */
const ASIDE = 7;

/** The SVG, a document of its own; the same rows give the same bytes. */
export function gradesPlot(aggregates: readonly Aggregate[]): string {
  const document = newDocument();
  const svg = element(document, "svg", {
    xmlns: SVG,
    width: GRADES.length * PANEL.width,
    height: PANEL.height + PANEL.title,
    "font-family": "system-ui, sans-serif",
  });
  svg.append(element(document, "rect", { width: "100%", height: "100%", fill: "white" }));
  svg.append(legend(document, aggregates));
  GRADES.forEach((grade, i) => {
    const name = element(document, "text", {
      x: i * PANEL.width + 14,
      y: 42,
      "font-size": 13,
      "font-weight": 600,
    });
    name.textContent = `Graded at least ${grade}`;
    const chart = chartOf(document, aggregates, grade);
    chart.setAttribute("x", String(i * PANEL.width));
    chart.setAttribute("y", String(PANEL.title));
    svg.append(name, chart);
  });
  return `${svg.outerHTML}\n`;
}

function chartOf(
  document: SvgDocument,
  aggregates: readonly Aggregate[],
  grade: typeof GRADES[number],
): SvgElement {
  const budgets = [...new Set(aggregates.map(({ interactions }) => interactions))];
  const marks = AGENTS.flatMap((agent, a) => {
    const points = aggregates.filter((row) => row.agent === agent).map((row) => {
      const { value, interval: [low, high] } = row[`at_least_${grade}`];
      return { budget: row.interactions, value, low, high };
    });
    const look = { stroke: COLOURS[a], dx: (a - 1) * ASIDE };
    const xy = { x: "budget", y: "value", ...look };
    return [
      Plot.ruleX(points, { x: "budget", y1: "low", y2: "high", ...look }),
      Plot.line(points, xy),
      Plot.dot(points, { ...xy, fill: "white", r: 3.5 }),
    ];
  });
  return Plot.plot({
    document: document as never,
    className: "grades",
    width: PANEL.width,
    height: PANEL.height,
    marginLeft: 44,
    x: {
      type: "point",
      domain: budgets.sort((a, b) => a - b),
      label: "interactions",
      labelArrow: "none",
    },
    y: { domain: [0, 1], label: "share of runs", grid: true, labelArrow: "none" },
    marks: [Plot.ruleY([0], { stroke: "#555" }), ...marks],
  }) as unknown as SvgElement;
}

/** The names of the lines in their colours. */
function legend(document: SvgDocument, aggregates: readonly Aggregate[]): SvgElement {
  const names = element(document, "text", { "font-size": 12, x: 14, y: 20 });
  AGENTS.forEach((agent, a) => {
    if (!aggregates.some((row) => row.agent === agent)) return;
    const part = element(document, "tspan", { fill: COLOURS[a], dx: 10 });
    part.textContent = agent;
    names.append(part);
  });
  return names;
}
