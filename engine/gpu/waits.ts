/**
 * When to ask a backend whether something is done. Deno's implementation does not come back from the question until all that was
 * submitted has ended, and tells the answer 10 ms later; so it is asked as late as can be: when something else is about to be
 * submitted, or when nothing else is awaited. In between the host records the next pass while the device is at work on this one.
 */

import { nextTurn } from "./event_loop.ts";

/** Questions that are asked in their order. */
export class Waits {
  #questions: (() => void)[] = [];
  /** Asked, not answered. */
  #open = 0;

  /** @param late whether they wait for their time; else they are asked at once */
  constructor(private readonly late: boolean) {}

  /** Asks, in its time, by calling `question`; gives what that gives. */
  ask<T>(question: () => Promise<T>): Promise<T> {
    if (!this.late) return question();
    const { promise, resolve } = Promise.withResolvers<T>();
    this.#questions.push(() => resolve(this.#answer(question)));
    this.#askWhenIdle();
    return promise;
  }

  /** Asks what has not been asked yet: to be called before each submission. */
  askAll(): void {
    for (const question of this.#questions.splice(0)) question();
  }

  async #answer<T>(question: () => Promise<T>): Promise<T> {
    this.#open++;
    try {
      return await question();
    } finally {
      this.#open--;
      this.#askWhenIdle();
    }
  }

  /** At the event loop's next turn: whoever has an answer, or goes on without one, may submit before. */
  #askWhenIdle(): void {
    nextTurn(() => {
      if (this.#open === 0) this.askAll();
    });
  }
}
