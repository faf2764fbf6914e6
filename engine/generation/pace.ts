/** How many steps a round has: few after a prompt, so that text begins early; then as many as the device does in a moment. */

/** What a round may take, in milliseconds, unless one step does already: text should flow, and whoever gives up should not wait long. */
const LONGEST = 500;

/** What it should take at least: on some backends its tokens are 10 ms on their way, and the next round is recorded meanwhile. */
const SHORTEST = 40;

/** The most steps of any round. */
export const MOST_STEPS = 64;

/** The length of rounds, of which each tells how long it took. */
export class Pace {
  #steps = 0;
  #stepMs: number | undefined;

  /** To be called when a prompt is run: the next round has one step, and each after it twice as many as the one before. */
  restart(): void {
    this.#steps = 1;
  }

  /** Steps of the next round: at most so many as are usual, but for a device that does more in a moment. */
  next(usual: number): number {
    const ms = this.#stepMs;
    const enough = ms === undefined ? 0 : Math.min(MOST_STEPS, Math.ceil(SHORTEST / ms));
    this.#steps = Math.min(Math.max(1, 2 * this.#steps), Math.max(usual, enough));
    const fitting = ms === undefined ? Infinity : Math.floor(LONGEST / ms);
    return Math.max(1, Math.min(this.#steps, fitting));
  }

  /** To be called when a round is done. */
  took(steps: number, ms: number): void {
    this.#stepMs = ms / steps;
  }
}
