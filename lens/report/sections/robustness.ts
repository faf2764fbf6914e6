/** How far the difference can be trusted, in how many directions it lies, and whether it grows in a line. */

import type { InterpolationResult } from "../../run_interpolation.ts";
import type { LayerSpectrum, LayerStability } from "../../run_samples.ts";
import { percent, short } from "../format.ts";
import { type Html, html, joined } from "../html.ts";
import { chart, COLOUR, figure } from "../plot.ts";
import { table } from "../table.ts";
import { tokenText } from "./readouts.ts";

/** The spectrum of single documents' differences. */
export function spectrumSection(spectra: readonly LayerSpectrum[]): Html {
  return html`
    <p>The documents' own differences, before the mean is taken: in how many orthogonal directions do they lie? One direction that all share is
    what a mean can show; many are what it hides.</p>
    ${spectra.map(({ layer, documents, of_documents, positions }) => {
      const charts = positions.slice(0, 4).map(({ position, uncentred }) => ({
        title: `Layer ${layer}, position ${position}`,
        chart: shareBars(uncentred.shares, position),
      }));
      return html`${
        figure(
          charts,
          `Share of the energy in each of the strongest directions, of ${documents} of ${of_documents} documents.`,
        )
      }
${
        table(
          `Directions at layer ${layer}`,
          [
            "position",
            "mean's share of the energy",
            "directions for 50 %",
            "90 %",
            "99 %",
            "effective",
            "without the mean",
          ],
          positions.map(({ position, mean_share, uncentred, centred }) => [
            position,
            percent(mean_share),
            uncentred.directions[50],
            uncentred.directions[90],
            uncentred.directions[99],
            short(uncentred.effective),
            short(centred.effective),
          ]),
        )
      }`;
    })}
  `;
}

function shareBars(shares: readonly number[], position: number): Html {
  const bars = shares.map((share, i) => ({ direction: i + 1, share: 100 * share }));
  const description = `Bars of ${shares.length} directions at position ${position}; the first has ${
    percent(shares[0] ?? 0)
  } of the energy`;
  return chart(description, (Plot) => ({
    height: 180,
    x: {
      label: "direction",
      type: "band",
      tickFormat: "d",
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { label: "% of the energy", grid: true, labelArrow: "none" },
    marks: [
      Plot.barY(bars, { x: "direction", y: "share", fill: COLOUR.difference }),
      Plot.ruleY([0], { stroke: "currentColor" }),
    ],
  }));
}

/** What other documents would have given. */
export function stabilitySection(layers: readonly LayerStability[]): Html {
  return html`
    <p>The documents are drawn again, with replacement: how much would the difference have come out otherwise? And how many documents would have
    been enough for the same direction (cosine 0.95) and the same twenty tokens (nine in ten)?</p>
    ${layers.map(({ layer, documents, draws, positions }) => {
      const charts = positions.slice(0, 4).map(({ position, sizes }) => ({
        title: `Layer ${layer}, position ${position}`,
        chart: sizeLines(sizes, position),
      }));
      return html`${
        figure(
          charts,
          "Cosine with the mean over all documents (line), and the share of its twenty tokens that are found (dashed), by the number of documents.",
        )
      }
${
        table(
          `Bootstrap of ${draws} draws over ${documents} documents at layer ${layer}`,
          [
            "position",
            "‖δ‖ / ‖h‖",
            "90 % interval",
            "cosine, 5th percentile",
            "enough for the direction",
            "for the tokens",
          ],
          positions.map(({ position, cosine, relative_norm: { value, low, high }, enough }) => [
            position,
            percent(value),
            `${percent(low)} to ${percent(high)}`,
            cosine.low.toFixed(3),
            enough.cosine ?? "more",
            enough.tokens ?? "more",
          ]),
        )
      }`;
    })}
  `;
}

function sizeLines(sizes: LayerStability["positions"][number]["sizes"], position: number): Html {
  const description =
    `Lines over ${sizes.length} numbers of documents at position ${position}; with ${
      sizes[0]?.documents ?? 0
    } the cosine is ${short(sizes[0]?.cosine ?? 0)}, with ${sizes.at(-1)?.documents ?? 0} it is ${
      short(sizes.at(-1)?.cosine ?? 0)
    }`;
  return chart(description, (Plot) => ({
    height: 200,
    x: {
      type: "log",
      base: 2,
      label: "documents",
      tickFormat: "d",
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { domain: [0, 1], grid: true, label: "cosine, share", labelArrow: "none" },
    marks: [
      Plot.line(sizes, { x: "documents", y: "cosine", stroke: COLOUR.difference, strokeWidth: 2 }),
      Plot.line(sizes, {
        x: "documents",
        y: "overlap",
        stroke: COLOUR.finetuned,
        strokeDasharray: "4 3",
      }),
    ],
  }));
}

/** Models between the two. */
export function interpolationSection({ documents, layers }: InterpolationResult): Html {
  return html`
    <p>Models on the line between the base's weights (0) and the finetuned model's (1), on ${documents} documents: does the difference grow in
    proportion, and does it keep its direction?</p>
    ${layers.map(({ layer, positions }) =>
      html`${
        figure(
          positions.slice(0, 4).map(({ position, points }) => ({
            title: `Layer ${layer}, position ${position}`,
            chart: strengthLines(points, position),
          })),
          "Length relative to the finetuned model's (line) and cosine with it (dashed). In proportion is the dotted diagonal.",
        )
      }
${
        table(
          `Models between the two at layer ${layer}`,
          ["position", "strength", "‖δ‖", "cosine", "off the line", "likeliest tokens"],
          positions.flatMap(({ position, points }) =>
            points.map(({ strength, norm, cosine, off_line, top }) => [
              position,
              strength,
              short(norm),
              cosine.toFixed(3),
              percent(off_line),
              joined(top.slice(0, 5).map(({ token }) => tokenText(token)), " "),
            ])
          ),
        )
      }`
    )}
  `;
}

type Points = InterpolationResult["layers"][number]["positions"][number]["points"];

function strengthLines(points: Points, position: number): Html {
  const description = `Lines over ${points.length} strengths at position ${position}: ${
    points.map(({ strength, cosine }) => `at ${strength} cosine ${cosine.toFixed(2)}`).join(", ")
  }`;
  return chart(description, (Plot) => ({
    height: 200,
    x: { label: "strength", labelAnchor: "center", labelArrow: "none" },
    y: { grid: true, label: "of the finetuned model's", labelArrow: "none" },
    marks: [
      Plot.line([[0, 0], [1, 1]], { stroke: "currentColor", strokeDasharray: "1 4" }),
      Plot.line(points, {
        x: "strength",
        y: "relative_norm",
        stroke: COLOUR.difference,
        strokeWidth: 2,
      }),
      Plot.dot(points, { x: "strength", y: "relative_norm", fill: COLOUR.difference, r: 3 }),
      Plot.line(points, {
        x: "strength",
        y: "cosine",
        stroke: COLOUR.finetuned,
        strokeDasharray: "4 3",
      }),
    ],
  }));
}
