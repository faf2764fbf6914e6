/** What a run may spend. Nothing else decides whether a tool runs or the LLM is asked again. */

import type { BudgetLimits } from "./results.ts";

/** A reply for which so few tokens are left is not asked for. */
const LEAST_REPLY_TOKENS = 64;

/** The most tokens that are asked for in one reply. */
const MOST_REPLY_TOKENS = 8_192;

/** Counts what is spent, and refuses what would go beyond. */
export class Budget {
  readonly #spent: BudgetLimits;

  /** @param spent by the part of the run that is done */
  constructor(
    readonly limits: Readonly<BudgetLimits>,
    spent: Readonly<BudgetLimits> = { interactions: 0, llm_calls: 0, tokens: 0 },
  ) {
    this.#spent = { ...spent };
  }

  /** What is left, 0 at the least. */
  get left(): BudgetLimits {
    const left = (kind: keyof BudgetLimits) => Math.max(0, this.limits[kind] - this.#spent[kind]);
    return {
      interactions: left("interactions"),
      llm_calls: left("llm_calls"),
      tokens: left("tokens"),
    };
  }

  /** Spends interactions: all of them, or none where they are too many. */
  spendInteractions(count: number): boolean {
    if (!Number.isSafeInteger(count) || count < 0 || count > this.left.interactions) return false;
    this.#spent.interactions += count;
    return true;
  }

  /**
   * How long the next reply may be, in tokens, or why there is none.
   *
   * @param promptTokens the most that its prompt can take
   */
  nextReply(promptTokens: number): number | "llm_calls" | "tokens" {
    const { llm_calls, tokens } = this.left;
    if (llm_calls === 0) return "llm_calls";
    const room = Math.min(MOST_REPLY_TOKENS, tokens - promptTokens);
    return room < LEAST_REPLY_TOKENS ? "tokens" : room;
  }

  /** Counts a reply that came. Its server may say that it took more than was asked for: then nothing is left. */
  countReply(tokens: number): void {
    this.#spent.llm_calls++;
    this.#spent.tokens += tokens;
  }
}
