/** From the losses of documents to what an intervention does to them. */

import { drawCounts, quantile } from "../resample.ts";
import { CAUSAL_STREAMS } from "./directions.ts";
import type { DocumentLosses } from "./measure.ts";

/** Resamples of the documents. */
const DRAWS = 1000;

/** The middle 95 %. */
const [LOW, HIGH] = [0.025, 0.975];

/** Mean and middle 95 % of several numbers. */
export interface Spread {
  mean: number;
  low: number;
  high: number;
}

/** What directions without meaning do. */
export interface ControlEffect extends Spread {
  /** How many there are. */
  count: number;
  /** Share of those that change the loss less than δ does, up or down. */
  beaten: number;
}

/** The effect on some tokens of a set. Losses are means over tokens, in nats. */
export interface TokenEffect {
  /** Documents that have such tokens. */
  documents: number;
  tokens: number;
  /** Of the model as it is. */
  loss: number;
  /** With the component along δ replaced. */
  intervened: number;
  /** `intervened` less `loss`: above 0 where the intervention harms. */
  change: number;
  /** 95 % confidence interval of `change`, by bootstrap over documents. */
  change_interval: { low: number; high: number };
  /** Each document's own change. */
  document_change: { mean: number; median: number };
  /** Losses with random directions in δ's place; null where none were asked for. */
  random: ControlEffect | null;
  /** The same less `loss`. */
  random_change: Spread | null;
  /** Losses with differences of random pairs of activations in δ's place. */
  random_difference: ControlEffect | null;
  random_difference_change: Spread | null;
}

/** The effect on a set: on all tokens, and on those after the first 20 of each document (null where there are none). */
export interface SetEffect extends TokenEffect {
  after_20: TokenEffect | null;
}

/** Which of a document's sums are those of the controls. */
export interface ControlPlaces {
  random: readonly number[];
  random_difference: readonly number[];
}

/** How often each document counts in each of the resamples: one draw for every direction, so that they can be compared. */
export function resamples(documents: number, seed: number): Uint32Array[] {
  const stream = CAUSAL_STREAMS.bootstrap;
  return drawCounts({ documents, size: documents, draws: DRAWS, seed, stream });
}

/**
 * The effect of one direction.
 *
 * @param place the direction's place among a document's sums
 */
export function setEffect(
  documents: readonly DocumentLosses[],
  place: number,
  controls: ControlPlaces,
  draws: readonly Uint32Array[],
): SetEffect {
  const all = documents.map(({ tokens, sums }) => ({ tokens, sums }));
  const late = documents.map(({ late, late_sums }) => ({ tokens: late, sums: late_sums }));
  return {
    ...tokenEffect(all, place, controls, draws)!,
    after_20: tokenEffect(late, place, controls, draws),
  };
}

interface Sums {
  tokens: number;
  sums: readonly number[];
}

function tokenEffect(
  documents: readonly Sums[],
  place: number,
  controls: ControlPlaces,
  draws: readonly Uint32Array[],
): TokenEffect | null {
  const tokens = documents.reduce((sum, document) => sum + document.tokens, 0);
  if (tokens === 0) return null;
  const lossAt = (at: number) => documents.reduce((sum, { sums }) => sum + sums[at], 0) / tokens;
  const loss = lossAt(0);
  const intervened = lossAt(place);
  const change = intervened - loss;
  const scored = documents.filter((document) => document.tokens > 0);
  const own = scored.map(({ tokens, sums }) => (sums[place] - sums[0]) / tokens);
  const drawn = draws.map((counts) => resampled(documents, place, counts)).filter(Number.isFinite);
  const effectOf = (places: readonly number[]) => controlEffect(places.map(lossAt), loss, change);
  const [random, difference] = [effectOf(controls.random), effectOf(controls.random_difference)];
  return {
    documents: scored.length,
    tokens,
    loss,
    intervened,
    change,
    change_interval: { low: quantile(drawn, LOW), high: quantile(drawn, HIGH) },
    document_change: { mean: mean(own), median: median(own) },
    random,
    random_change: lessLoss(random, loss),
    random_difference: difference,
    random_difference_change: lessLoss(difference, loss),
  };
}

/** The change over resampled documents; NaN where they have no such tokens. */
function resampled(documents: readonly Sums[], place: number, counts: Uint32Array): number {
  let [change, tokens] = [0, 0];
  documents.forEach(({ sums, tokens: own }, d) => {
    change += counts[d] * (sums[place] - sums[0]);
    tokens += counts[d] * own;
  });
  return change / tokens;
}

function controlEffect(
  losses: readonly number[],
  loss: number,
  change: number,
): ControlEffect | null {
  if (losses.length === 0) return null;
  const smaller = losses.filter((other) => Math.abs(other - loss) < Math.abs(change)).length;
  return {
    count: losses.length,
    mean: mean(losses),
    low: quantile(losses, LOW),
    high: quantile(losses, HIGH),
    beaten: smaller / losses.length,
  };
}

function lessLoss(spread: Spread | null, loss: number): Spread | null {
  if (spread === null) return null;
  return { mean: spread.mean - loss, low: spread.low - loss, high: spread.high - loss };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The middle value, or the mean of the two in the middle. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
