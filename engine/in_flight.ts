/** Work that is submitted and not waited for: so much that the device never idles, and no more. */

import type { Gpu } from "./gpu/gpu.ts";

/** Pieces of work on the queue at a time: while one runs, the next is there already. */
const MOST = 2;

/** A queue of submitted work, the oldest first. */
export class InFlight {
  readonly #pieces: { done: Promise<void>; then?: () => void | Promise<void> }[] = [];

  constructor(private readonly gpu: Gpu) {}

  /**
   * Counts what was just submitted; waits for the oldest piece when there are too many.
   *
   * @param then called when the piece is done, in the order of the pieces
   */
  async add(then?: () => void | Promise<void>): Promise<void> {
    const done = this.gpu.finish();
    done.catch(() => {}); // whoever waits for it gets the error
    this.#pieces.push({ done, then });
    if (this.#pieces.length >= MOST) await this.#oldest();
  }

  /** Waits for all of it. */
  async drain(): Promise<void> {
    while (this.#pieces.length > 0) await this.#oldest();
  }

  async #oldest(): Promise<void> {
    const { done, then } = this.#pieces.shift()!;
    await done;
    await then?.();
  }
}
