/** What the difference does to the model's losses, beside directions that mean nothing. */

import { CAUSAL_SETS, type CausalResult, type CausalSet } from "../../causal/causal.ts";
import type { TokenEffect } from "../../causal/statistics.ts";
import { interval, signed } from "../format.ts";
import { type Html, html } from "../html.ts";
import { chart, COLOUR, figure } from "../plot.ts";
import { table } from "../table.ts";

const TITLES: Record<CausalSet, string> = {
  finetuning: "On the finetuning's texts",
  generic: "On generic texts",
};

/** Every measurement. */
export function causalSection(measured: readonly { result: CausalResult }[]): Html {
  return html`
    <p>The residual's component along the difference is replaced at every token, and the loss on the same texts is taken again. If the
    difference carries what was learned, the loss on the finetuning's texts rises; the paper finds that on other text it falls: overfitting.
    The controls are the same with random directions, and with differences of random pairs of activations, which the model does use.</p>
    ${measured.map(({ result }) => measurement(result))}
  `;
}

function measurement(result: CausalResult): Html {
  const { layer, mode, subject, positions } = result;
  const other = subject === "finetuned" ? "base" : "finetuned model";
  const what = mode === "zero" ? "set to zero" : `replaced by that of the ${other}`;
  const charts = CAUSAL_SETS.map((set) => ({ title: TITLES[set], chart: effects(result, set) }));
  const caption = "Change of the loss in nats per token; right of 0 the intervention harms. " +
    "Dots: the difference, with a 95 % interval by bootstrap over documents. Bars: the middle 95 % of the controls, their mean as a line.";
  const rows = positions.flatMap(({ position, sets }) =>
    CAUSAL_SETS.flatMap((set) => {
      const late = sets[set].after_20;
      return [
        effectRow(position, `${set}, all tokens`, sets[set]),
        ...(late ? [effectRow(position, `${set}, after the 20th`, late)] : []),
      ];
    })
  );
  return html`
    <h3>Layer ${layer}: the ${subject === "base"
      ? "base's"
      : "finetuned model's"} component ${what}</h3>
    ${figure(charts, caption)}
    ${table(
      "Losses in nats per token, and their change",
      [
        "position",
        "texts",
        "tokens",
        "loss",
        "change",
        "random directions",
        "random pairs",
        "beaten",
      ],
      rows,
    )}
    <p
      class="quiet">Beaten: the share of controls of either kind that change the loss less than the difference does, up or down.</p>
  `;
}

function effectRow(position: number, name: string, effect: TokenEffect) {
  const { low, high } = effect.change_interval;
  const spread = (of: TokenEffect["random_change"]) => of ? interval([of.low, of.high], 4) : "–";
  const beaten = [effect.random, effect.random_difference]
    .map((control) => control ? `${Math.round(100 * control.beaten)} %` : "–").join(", ");
  return [
    position,
    name,
    effect.tokens.toLocaleString("en"),
    effect.loss.toFixed(3),
    `${signed(effect.change, 4)} ${interval([low, high], 4)}`,
    spread(effect.random_change),
    spread(effect.random_difference_change),
    beaten,
  ];
}

interface Row {
  name: string;
  value: number;
  low: number;
  high: number;
  isControl: boolean;
}

function effects({ positions }: CausalResult, set: CausalSet): Html {
  const rows = positions.flatMap(({ position, sets }): Row[] => {
    const effect = sets[set];
    const suffix = positions.length > 1 ? `, ${position}` : "";
    const own = { name: `difference${suffix}`, value: effect.change, ...effect.change_interval };
    const controls = [
      [`random directions${suffix}`, effect.random_change],
      [`random pairs${suffix}`, effect.random_difference_change],
    ] as const;
    return [
      { ...own, isControl: false },
      ...controls.flatMap(([name, spread]) =>
        spread
          ? [{ name, value: spread.mean, low: spread.low, high: spread.high, isControl: true }]
          : []
      ),
    ];
  });
  const [controls, own] = [true, false].map((is) => rows.filter((row) => row.isControl === is));
  const description = `${TITLES[set]}: ${
    rows.map(({ name, value, low, high }) =>
      `${name} ${signed(value, 4)} ${interval([low, high], 4)}`
    ).join("; ")
  }`;
  return chart(description, (Plot) => ({
    height: 56 + 30 * rows.length,
    marginLeft: 142,
    marginTop: 8,
    marginRight: 14,
    x: {
      label: "change of the loss, nats per token",
      grid: true,
      nice: true,
      ticks: 4,
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { domain: rows.map(({ name }) => name), label: null },
    marks: [
      Plot.barX(controls, {
        y: "name",
        x1: "low",
        x2: "high",
        fill: COLOUR.random,
        fillOpacity: 0.45,
        inset: 5,
      }),
      Plot.tickX(controls, {
        y: "name",
        x: "value",
        stroke: COLOUR.random,
        strokeWidth: 2,
        inset: 3,
      }),
      Plot.ruleX([0], { stroke: "currentColor" }),
      Plot.ruleY(own, {
        y: "name",
        x1: "low",
        x2: "high",
        stroke: COLOUR.difference,
        strokeWidth: 2.5,
      }),
      Plot.dot(own, { y: "name", x: "value", fill: COLOUR.difference, r: 4.5 }),
    ],
  }));
}
