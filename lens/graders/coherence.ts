/**
 * Whether a text is coherent, without anyone who reads it: a language model predicts it about as well as what it writes itself,
 * and it does not go round in circles.
 *
 * The first is the text's mean loss per token given its prompt. What a model's own texts have is a matter of chance, more so
 * the shorter they are, so the limit is one for each length: with a text's mean taken as that of all texts, μ, plus
 * something of its own, of variance τ², plus the mean of n tokens of variance σ² (one-way random effects, by the method of
 * moments),
 *
 *     loss ≤ μ + 3·√(τ² + σ²/n)
 *
 * There is no lower limit. A text that is easier to predict than the model's own is one that repeats, which is measured by itself
 * (`repetition.ts`), or simply a plain one.
 */

import { isRepetitive, type Repetition, repetitionLimits, repetitionOf } from "./repetition.ts";
import { SPREAD, variance } from "./spread.ts";
import { average } from "./token_geometry.ts";

/** A text and how well it was predicted. */
export interface MeasuredText {
  /** Its tokens, without one that ends it. */
  ids: readonly number[];
  /** Their losses in nats, of all or of the first ones that fit the context. */
  losses: ArrayLike<number>;
}

/** The losses of a model's own texts, in nats. */
export interface LossSpread {
  /** The mean of the texts' means. */
  mean: number;
  /** Variance of the texts' own means, beyond what their few tokens explain. */
  between: number;
  /** Variance of tokens around their text's mean. */
  within: number;
}

/** What keeps a text from being coherent. */
export type Fault = "empty" | "loss" | "repetition";

/** How a text was judged, with all that decided it. */
export interface CoherenceVerdict {
  /** Whether it has no fault. */
  coherent: boolean;
  faults: Fault[];
  /** Mean loss per token in nats; null where no token has a loss. */
  loss: number | null;
  /** The highest loss that a text of this length may have. */
  highestLoss: number;
  repetition: Repetition;
}

/** What is coherent by the measure of some texts. */
export class CoherenceRange {
  constructor(readonly loss: LossSpread, readonly repetition: Repetition) {}

  /** The range of these texts; at least two, each with a token that has a loss. */
  static of(texts: readonly MeasuredText[]): CoherenceRange {
    const repetition = repetitionLimits(texts.map(({ ids }) => ids));
    return new CoherenceRange(
      lossSpread(texts.map(({ losses }) => Array.from(losses))),
      repetition,
    );
  }

  /** The highest mean loss of a coherent text of so many tokens. */
  highestLoss(tokens: number): number {
    const { mean, between, within } = this.loss;
    return mean + SPREAD * Math.sqrt(between + within / tokens);
  }

  /** Judges a text. One without tokens says nothing, which is not coherent. */
  judge({ ids, losses }: MeasuredText): CoherenceVerdict {
    const repetition = repetitionOf(ids);
    const loss = losses.length === 0 ? null : average(Array.from(losses));
    const highestLoss = this.highestLoss(Math.max(1, losses.length));
    const faults: Fault[] = [];
    if (ids.length === 0) faults.push("empty");
    // A loss that is not a number is not a low one.
    if (loss !== null && !(loss <= highestLoss)) faults.push("loss");
    if (isRepetitive(repetition, ids.length, this.repetition)) faults.push("repetition");
    return { coherent: faults.length === 0, faults, loss, highestLoss, repetition };
  }
}

function lossSpread(texts: readonly number[][]): LossSpread {
  const means = texts.map(average);
  const squares = texts.reduce(
    (sum, losses) => sum + variance(losses) * (losses.length - 1),
    0,
  );
  const degrees = texts.reduce((sum, losses) => sum + losses.length - 1, 0);
  const within = degrees > 0 ? squares / degrees : 0;
  const byChance = within * average(texts.map(({ length }) => 1 / length));
  return {
    mean: average(means),
    between: Math.max(0, variance(means) - byChance),
    within,
  };
}
