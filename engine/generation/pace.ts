/** How many steps a round has: few after a prompt, so that text begins early; then as many as the device does in a moment. */

/** What a round may take, in milliseconds, unless one step does already: text should flow, and whoever gives up should not wait long. */
const LONGEST = 500;

/** The length of rounds, of which each tells how long it took. */
export class Pace {
  #steps = 0;
  #stepMs = 0;

  /** To be called when a prompt is run: the next round has one step, and each after it twice as many as the one before. */
  restart(): void {
    this.#steps = 1;
  }

  /** Steps of the next round, at most so many. */
  next(most: number): number {
    this.#steps = Math.min(Math.max(1, 2 * this.#steps), most);
    const fitting = Math.floor(LONGEST / this.#stepMs); // infinite before the first round
    return Math.max(1, Math.min(this.#steps, fitting));
  }

  /** To be called when a round is done. */
  took(steps: number, ms: number): void {
    this.#stepMs = ms / steps;
  }
}
