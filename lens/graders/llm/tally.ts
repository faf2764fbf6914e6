/** What grading took: requests, tokens, money. */

/** Tokens of one request. */
export interface TokenCounts {
  input: number;
  output: number;
}

/** Prices in any one currency. */
export interface Prices {
  /** Of a million tokens of prompts. */
  input: number;
  /** Of a million tokens of answers. */
  output: number;
}

/** See {@link Tally.usage}. */
export interface GraderUsage {
  /** Requests sent, failed ones too. */
  requests: number;
  /** Answers taken from an earlier record. */
  replayed: number;
  input_tokens: number;
  output_tokens: number;
  /** Answers that came without a count of tokens. */
  uncounted: number;
  /** In the currency of the prices; null without prices, or where an answer was not counted. */
  cost: number | null;
}

/** Counts. */
export class Tally {
  readonly #prices: Prices | undefined;
  #requests = 0;
  #replayed = 0;
  #uncounted = 0;
  #tokens: TokenCounts = { input: 0, output: 0 };

  constructor(prices?: Prices) {
    this.#prices = prices;
  }

  /** A request is sent. */
  sent(): void {
    this.#requests++;
  }

  /** An answer was had from the record. */
  replayed(): void {
    this.#replayed++;
  }

  /** An answer came. */
  answered(usage: TokenCounts | null): void {
    if (usage === null) this.#uncounted++;
    this.#tokens.input += usage?.input ?? 0;
    this.#tokens.output += usage?.output ?? 0;
  }

  /** All so far. */
  get usage(): GraderUsage {
    const { input, output } = this.#tokens;
    const prices = this.#uncounted === 0 ? this.#prices : undefined;
    return {
      requests: this.#requests,
      replayed: this.#replayed,
      input_tokens: input,
      output_tokens: output,
      uncounted: this.#uncounted,
      cost: prices ? (input * prices.input + output * prices.output) / 1e6 : null,
    };
  }
}

/** What a record's requests took. */
export type RecordUsage = Omit<GraderUsage, "replayed">;

/** Counts the requests of a record. */
export function usageOf(
  entries: readonly { answer: string | null; usage: TokenCounts | null; replayed: boolean }[],
  prices?: Prices,
): RecordUsage {
  const tally = new Tally(prices);
  for (const { answer, usage, replayed } of entries) {
    if (replayed) continue;
    tally.sent();
    if (answer !== null) tally.answered(usage);
  }
  const { replayed: _, ...usage } = tally.usage;
  return usage;
}
