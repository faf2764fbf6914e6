/** One sequence that grows: which of the tokens that come for it count, and when it has ended. */

import { ModelError, UsageError } from "../errors.ts";
import type { TokenLogprobs } from "../ops/logprobs.ts";
import { NO_TOKEN } from "../ops/sampling.ts";

/** How a sequence ended: by a stop token or the caller's check, or because it was long enough. */
export type Finish = "stop" | "length";

/** What ends a sequence, and who hears of its tokens. */
export interface Stopping {
  /** Tokens that end a sequence; the one that did is the last of its ids. */
  stopIds?: ReadonlySet<number>;
  /**
   * Called after each token with all new ids of the sequence so far; true ends it there, a number ends it with so many of
   * its ids. Tokens come in groups, so what is dropped may have gone to `onTokens` already.
   */
  stop?: (sequence: number, ids: readonly number[]) => boolean | number;
  /** Called after each readback with what a sequence has got; log-probabilities come where they were asked for. */
  onTokens?: (
    sequence: number,
    newIds: readonly number[],
    newLogprobs: readonly TokenLogprobs[],
  ) => void;
}

/** The new tokens of one sequence. */
export class GrowingSequence {
  readonly ids: number[] = [];
  /** Of each of the ids, where they were asked for. */
  readonly logprobs: TokenLogprobs[] = [];
  finish: Finish | undefined;

  constructor(
    /** Place in the request. */
    readonly index: number,
    readonly prompt: ArrayLike<number>,
    /** Stream of its draws. */
    readonly stream: number,
    /** The most tokens that it may get. */
    readonly limit: number,
  ) {
    if (limit === 0) this.finish = "length";
  }

  /**
   * Takes tokens in as far as they count.
   *
   * @param logprobs one a token, or none
   */
  append(
    tokens: readonly number[],
    stopping: Stopping,
    logprobs: readonly TokenLogprobs[] = [],
  ): void {
    const before = this.ids.length;
    for (const [i, token] of tokens.entries()) {
      if (this.finish) break;
      if (i < logprobs.length) this.logprobs.push(logprobs[i]);
      this.#append(token, stopping);
    }
    const added = this.ids.slice(before);
    if (added.length > 0) stopping.onTokens?.(this.index, added, this.logprobs.slice(before));
  }

  #append(token: number, { stopIds, stop }: Stopping): void {
    if (token === NO_TOKEN) {
      throw new ModelError(
        `Cannot go on with sequence ${this.index} after ${this.ids.length} new tokens: none of the model's logits is a ` +
          "finite number; weaker edits, if there are any, may help",
      );
    }
    this.ids.push(token);
    if (this.ids.length === this.limit) this.finish = "length";
    if (stopIds?.has(token)) this.finish = "stop";
    const verdict = stop?.(this.index, this.ids) ?? false;
    if (verdict === false) return;
    const kept = verdict === true ? this.ids.length : verdict;
    if (!(Number.isInteger(kept) && kept >= 0 && kept <= this.ids.length)) {
      throw new UsageError(
        `Cannot keep ${kept} tokens of sequence ${this.index}: it has ${this.ids.length}`,
      );
    }
    this.ids.length = kept;
    this.logprobs.length = Math.min(kept, this.logprobs.length);
    this.finish = "stop";
  }
}
