/** Patchscope's scales: how coherent the list of each is, and how much of it is of the topic. */

import { tokenMatchesKeyword } from "../../keywords.ts";
import type { PatchscopeReadout, PositionReadout } from "../../readout.ts";
import { short } from "../format.ts";
import { type Html, html } from "../html.ts";
import { chart, COLOUR, figure, legend } from "../plot.ts";
import type { RunResults } from "../run_results.ts";
import { mainLayer, mainPosition, topicWords, vectorOf, VECTORS } from "../shown.ts";
import { folded } from "../table.ts";

type ScaleOf = PatchscopeReadout["scales"][number];

/** Curves of the main position, those of the others folded. */
export function scalesSection(run: RunResults): Html {
  const { positions } = mainLayer(run)!.readout!;
  const words = topicWords(run);
  const open = mainPosition(run);
  const main = positions.find(({ position }) => position === open)!;
  const others = positions.filter((at) => at !== main);
  const names = VECTORS.filter((name) =>
    Object.keys(main.patchscope).some((one) => vectorOf(one) === name)
  );
  const caption =
    html`Left: the grader's score of each scale's twenty tokens (how alike their words are, in standard deviations above
random words); the ringed scale is read. ${
      words.size > 0 && "Right: the share of those tokens that are words of the topic."
    }`;
  return html`
    <p>Patchscope rescales a vector before it puts it in place, and what the model sees depends on how much. Thirty scales are tried, and the
    one whose tokens are most alike is read, without looking at the topic. A list that is coherent need not be about the finetuning: so
    the nulls' curves stand beside it.</p>
    ${legend(names)}
    ${figure(curves(main, words), caption)}
    ${others.length > 0 &&
      folded(
        "The other positions",
        html`${others.map((at) => figure(curves(at, words), `Position ${at.position}`))}`,
      )}
  `;
}

function curves(at: PositionReadout, words: ReadonlySet<string>) {
  const scored = curve(at, "z-score of coherence", ({ score }) => score);
  if (words.size === 0) return [{ title: `Coherence, position ${at.position}`, chart: scored }];
  const ofTopic = ({ tokens }: ScaleOf) =>
    100 * tokens.filter(({ token }) => tokenMatchesKeyword(token, words)).length /
    Math.max(1, tokens.length);
  return [
    { title: `Coherence, position ${at.position}`, chart: scored },
    {
      title: `Words of the topic, position ${at.position}`,
      chart: curve(at, "% of the tokens", ofTopic),
    },
  ];
}

function curve(
  { patchscope, position }: PositionReadout,
  label: string,
  read: (scale: ScaleOf) => number | null,
): Html {
  const points = Object.entries(patchscope).flatMap(([name, { scales }]) =>
    scales.flatMap((scale) => {
      const value = read(scale);
      return value === null ? [] : [{ name, scale: scale.scale, value }];
    })
  );
  const { scale: chosen } = patchscope.difference ?? { scale: null };
  const own = points.filter(({ name }) => name === "difference");
  const nulls = points.filter(({ name }) => name !== "difference");
  const ringed = own.filter(({ scale }) => scale === chosen);
  const description =
    `Curves over thirty scales at position ${position}, ${label}; of the difference ${
      ringed.length > 0
        ? `${short(ringed[0].value)} at the scale that is read, ${chosen}`
        : "no scale is read"
    }`;
  const colour = ({ name }: { name: string }) => COLOUR[vectorOf(name)];
  return chart(description, (Plot) => ({
    x: {
      type: "log",
      label: "scale",
      ticks: [0.5, 1, 2, 5, 10, 20, 50, 100, 200],
      tickFormat: String,
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { label, grid: true, nice: true, labelArrow: "none" },
    marks: [
      Plot.line(nulls, { x: "scale", y: "value", z: "name", stroke: colour, strokeWidth: 1.2 }),
      Plot.line(own, { x: "scale", y: "value", stroke: COLOUR.difference, strokeWidth: 2.2 }),
      Plot.dot(own, { x: "scale", y: "value", fill: COLOUR.difference, r: 2 }),
      Plot.dot(ringed, { x: "scale", y: "value", stroke: COLOUR.difference, strokeWidth: 2, r: 6 }),
    ],
  }));
}
