/** Whether what is read is about the finetuning: the difference beside every null. */

import { percent } from "../format.ts";
import { type Html, html, joined } from "../html.ts";
import { chart, COLOUR, figure, VECTOR_TITLES } from "../plot.ts";
import type { LayerResults } from "../run_results.ts";
import { LENSES, type ListShare, listShares, VECTORS } from "../shown.ts";
import { folded, table } from "../table.ts";

/** Plot, table and the words. */
export function relevanceSection(main: LayerResults): Html {
  const { graded, topic, layer } = main;
  const shares = listShares(main);
  const names = VECTORS.filter((name) => shares.some((share) => share.name === name));
  const charts = LENSES.map(([lens, title]) => ({
    title,
    chart: strips(shares.filter((share) => share.lens === lens), title),
  }));
  const measured = graded?.relevance ?? topic!;
  const cell = (lens: "logit_lens" | "patchscope", name: string) => {
    const found = measured[lens][name];
    return [percent(found?.share), percent(found?.weighted_share)];
  };
  const words = topic?.keywords ?? [];
  const who = graded && graded.grader !== "offline"
    ? html`the grader ${graded.grader} calls relevant in each of three orders`
    : html`are words that mark the finetuning's texts against others`;
  return html`
    <p>Of the twenty likeliest tokens of each list, the share that ${who}. A readout without its nulls is no evidence: what the difference
    has more than the base's mean, random directions and a sibling is what the finetuning left.</p>
    ${figure(
      charts,
      "Filled: one dot a position (of random directions, one a draw), and a line at their mean. Hollow diamond: the mean of the same share weighted by probability. The dots of one vector are not independent of each other, so no interval is given.",
    )}
    ${table(
      `Relevant share of the twenty likeliest tokens at layer ${layer}, mean over positions`,
      ["vector", "logit lens", "by probability", "Patchscope", "by probability"],
      names.map((name) => [
        VECTOR_TITLES[name],
        ...cell("logit_lens", name),
        ...cell("patchscope", name),
      ]),
    )}
    ${words.length > 0 &&
      folded(
        `The ${words.length} words of the topic`,
        html`<p class="words">${joined(words, " ")}</p>`,
      )}
  `;
}

function strips(shares: readonly ListShare[], lens: string): Html {
  const names = VECTORS.filter((name) => shares.some((share) => share.name === name));
  const means = names.map((name) => {
    const own = shares.filter((share) => share.name === name);
    const mean = (of: (share: ListShare) => number) =>
      own.reduce((sum, share) => sum + of(share), 0) / own.length;
    return { name, share: mean(({ share }) => share), weighted: mean(({ weighted }) => weighted) };
  });
  const description = `Relevant share through the ${lens}: ${
    means.map(({ name, share }) => `${VECTOR_TITLES[name]} ${percent(share)}`).join(", ")
  }`;
  const title = ({ name }: { name: typeof names[number] }) => VECTOR_TITLES[name];
  const colour = ({ name }: { name: typeof names[number] }) => COLOUR[name];
  const at = (of: "share" | "weighted") => (point: ListShare | typeof means[number]) =>
    100 * point[of];
  return chart(description, (Plot) => ({
    height: 50 + 34 * names.length,
    marginLeft: 136,
    marginTop: 8,
    marginRight: 14,
    x: {
      label: "% of the twenty tokens",
      domain: [0, 100],
      grid: true,
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { domain: names.map((name) => VECTOR_TITLES[name]), label: null },
    symbol: { type: "identity" },
    marks: [
      Plot.dot(shares, { x: at("share"), y: title, fill: colour, fillOpacity: 0.55, r: 3.5 }),
      Plot.tickX(means, { x: at("share"), y: title, stroke: colour, strokeWidth: 2.5, inset: 4 }),
      Plot.dot(means, {
        x: at("weighted"),
        y: title,
        stroke: colour,
        strokeWidth: 1.5,
        symbol: "diamond",
        r: 4.5,
      }),
    ],
  }));
}
