/** What `deno task causal` prints: two tables for people, or one JSON object for machines. */

import { CAUSAL_SETS, type CausalResult } from "../lens/causal/causal.ts";
import { FIRST_TOKENS } from "../lens/causal/measure.ts";
import type { Spread, TokenEffect } from "../lens/causal/statistics.ts";
import { formatTable } from "./table.ts";
import { wrap } from "./wrap.ts";

/** A finished measurement. */
export interface CausalShown {
  result: CausalResult;
  /** The results folder. */
  folder: string;
}

/** The object of `--json`: the first position's effect, and every one's under `positions` when there are several. */
export function causalJson({ result, folder }: CausalShown): Record<string, unknown> {
  const { layer, mode, subject, positions } = result;
  const [first] = positions;
  return {
    layer,
    mode,
    subject,
    ...first,
    ...(positions.length > 1 && { positions }),
    results: folder,
  };
}

/** Prints both tables. */
export function printCausal(
  { result, folder, names, description }: CausalShown & {
    names: { base: string; finetuned: string };
    description?: string;
  },
): void {
  const { layer, mode, subject } = result;
  const other = subject === "base" ? names.finetuned : names.base;
  const done = mode === "zero" ? "removed" : `replaced by that of ${other}`;
  console.log(
    `\nLosses of ${
      names[subject]
    } with its component along the difference ${done}, at layer ${layer}`,
  );
  if (description) console.log(wrap(`In truth: ${description}`));
  console.log(`\nAll tokens, nats per token\n${effectTable(result, (effect) => effect)}`);
  console.log(
    `\nTokens after the ${FIRST_TOKENS}th\n${effectTable(result, (effect) => effect.after_20)}`,
  );
  console.log(`\n${wrap(LEGEND)}\n\nResults: ${folder}`);
}

const LEGEND =
  "change: loss with the intervention less loss without; over 0 it harms. In brackets 95 % intervals: of the change by " +
  "bootstrap over documents, else the middle of the controls, which are random directions and differences of random " +
  "pairs of activations in the difference's place. beaten: the share of controls that change the loss less, up or down.";

type SetEffectOf = CausalResult["positions"][number]["sets"]["generic"];

function effectTable(
  { positions }: CausalResult,
  choose: (effect: SetEffectOf) => TokenEffect | null,
): string {
  const right = { align: "right" as const, minWidth: 6 };
  const columns = [
    { title: "texts", minWidth: 10 },
    { title: "position", ...right, minWidth: 8 },
    { title: "tokens", ...right },
    { title: "loss", ...right },
    { title: "change", ...right, minWidth: 7 },
    { title: "95 %", minWidth: 16 },
    { title: "random", minWidth: 16 },
    { title: "beaten", ...right },
    { title: "random pairs", minWidth: 16 },
    { title: "beaten", ...right },
  ];
  const rows = CAUSAL_SETS.flatMap((set) =>
    positions.map(({ position, sets }) => {
      const effect = choose(sets[set]);
      const begin = [set, String(position)];
      return effect ? [...begin, ...cells(effect)] : [...begin, "0"];
    })
  );
  return formatTable(columns, rows);
}

function cells(effect: TokenEffect): string[] {
  const { tokens, loss, change, change_interval, random, random_difference } = effect;
  return [
    String(tokens),
    loss.toFixed(3),
    signed(change),
    range(change_interval),
    spread(effect.random_change),
    percent(random?.beaten),
    spread(effect.random_difference_change),
    percent(random_difference?.beaten),
  ];
}

const signed = (value: number) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(4)}`;
const range = ({ low, high }: { low: number; high: number }) => `[${signed(low)}, ${signed(high)}]`;
const spread = (all: Spread | null) => all ? range(all) : "-";
const percent = (share: number | undefined) =>
  share === undefined ? "-" : `${Math.round(100 * share)}%`;
