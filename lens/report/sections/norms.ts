/** How long the difference is, by layer and position. */

import { vectorNorm } from "../../patchscope.ts";
import type { Means } from "../../../engine/activation_means.ts";
import { percent, short } from "../format.ts";
import { type Html, html } from "../html.ts";
import { chart, COLOUR, figure } from "../plot.ts";
import type { DiffResults } from "../run_results.ts";
import { folded, table } from "../table.ts";

/** The difference at one position. */
export interface NormPoint {
  layer: number;
  position: number;
  norm: number;
  /** ‖δ‖ over the mean norm of the finetuned model's activations there. */
  relative: number;
}

/** From so many layers on, a line each would be a tangle. */
const MANY_LAYERS = 4;

/** ‖δ‖ at every position of a layer. */
export function normsOf(means: Means, layer: number, firstPosition: number): NormPoint[] {
  const rows = means.finetunedNorm.length;
  const hidden = means.delta.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const norm = vectorNorm(means.delta.subarray(row * hidden, (row + 1) * hidden));
    return {
      layer,
      position: firstPosition + row,
      norm,
      relative: norm / means.finetunedNorm[row],
    };
  });
}

/** Plot and table. */
export function normsSection({ layers, firstPosition }: DiffResults): Html {
  const points = layers.flatMap(({ means, layer }) => normsOf(means, layer, firstPosition));
  const siblings = layers.flatMap(({ sibling, layer }) =>
    sibling ? normsOf(sibling, layer, firstPosition) : []
  );
  const charts = layers.length < MANY_LAYERS
    ? layers.map(({ layer }) => ({
      title: `Layer ${layer}`,
      chart: lines(
        points.filter((point) => point.layer === layer),
        siblings.filter((point) => point.layer === layer),
      ),
    }))
    : [{ title: "Every layer and position", chart: cells(points) }];
  const grey = siblings.length > 0 && layers.length < MANY_LAYERS &&
    " The dashed line is the sibling's, on fewer documents.";
  const darker = layers.length >= MANY_LAYERS && " Darker is longer.";
  return html`
    <p>The difference at a position is the mean over the documents of what the finetuned model's residual stream has there, less what
    the base's has. Its length is given in units of the finetuned model's own activations: 0 % is no trace at all.</p>
    ${figure(
      charts,
      html`Length of the difference by position, in percent of the activations'.${grey}${darker}`,
    )}
    ${folded(
      "The numbers",
      table(
        "Length of the difference",
        ["layer", "position", "‖δ‖", "‖δ‖ / ‖h‖"],
        points.map(({ layer, position, norm, relative }) => [
          layer,
          position,
          short(norm),
          percent(relative),
        ]),
      ),
    )}
  `;
}

function lines(points: readonly NormPoint[], siblings: readonly NormPoint[]): Html {
  const { length } = points;
  const top = points.toSorted((a, b) => b.relative - a.relative)[0];
  const description = `Line over ${length} positions; longest at position ${top.position}, ${
    percent(top.relative)
  } of the activations' length`;
  const series = (of: readonly NormPoint[]) =>
    of.map(({ position, relative }) => ({ position, share: 100 * relative }));
  return chart(description, (Plot) => ({
    x: {
      label: "position of the token",
      labelAnchor: "center",
      labelArrow: "none",
      tickFormat: "d",
    },
    y: { label: "% of ‖h‖", grid: true, zero: true, nice: true, labelArrow: "none" },
    marks: [
      Plot.ruleY([0], { stroke: "currentColor" }),
      Plot.lineY(series(siblings), {
        x: "position",
        y: "share",
        stroke: COLOUR.sibling,
        strokeDasharray: "4 3",
      }),
      Plot.lineY(series(points), {
        x: "position",
        y: "share",
        stroke: COLOUR.difference,
        strokeWidth: 2,
      }),
      length > 32
        ? null
        : Plot.dot(series(points), { x: "position", y: "share", fill: COLOUR.difference, r: 3 }),
    ],
  }));
}

function cells(points: readonly NormPoint[]): Html {
  const most = Math.max(...points.map(({ relative }) => relative));
  const layers = new Set(points.map(({ layer }) => layer)).size;
  const top = points.find(({ relative }) => relative === most)!;
  const description =
    `Cells of ${layers} layers by position; longest at layer ${top.layer}, position ${top.position}, ${
      percent(most)
    } of the activations' length`;
  return chart(description, (Plot) => ({
    height: Math.min(640, 60 + 14 * layers),
    x: { label: "position of the token", labelAnchor: "center", labelArrow: "none" },
    y: { label: "layer", labelArrow: "none" },
    marks: [
      Plot.cell(points, {
        x: "position",
        y: "layer",
        fill: COLOUR.difference,
        fillOpacity: ({ relative }: NormPoint) => most > 0 ? relative / most : 0,
        inset: 0.5,
      }),
    ],
    opacity: { type: "identity" },
  }));
}
