/**
 * Waiting for Dawn without work of its own: while something is awaited it asks for news at every turn of the event loop, and so takes
 * a core. A software driver misses that core: of two, decoding takes eight to twenty times as long.
 */

import { nextTurn } from "./event_loop.ts";

/** The longest nap, in milliseconds: news comes that much later at the most. */
const LONGEST = 1;

/** Naps are this share of what has been waited for so far: who waits for little is told soon. */
const SHARE = 1 / 4;

/** Puts the thread to sleep at every turn of the event loop, for as long as something of the device is awaited. */
export class Naps {
  #awaited = 0;
  #since = 0;
  #running = false;
  /** Nobody changes it, so that whoever waits for a change sleeps. */
  readonly #cell = new Int32Array(new SharedArrayBuffer(4));

  /** Naps until this is settled; gives the same promise. */
  during<T>(work: Promise<T>): Promise<T> {
    if (this.#awaited === 0) this.#since = performance.now();
    this.#awaited++;
    const ended = () => void this.#awaited--;
    work.then(ended, ended);
    if (!this.#running) {
      this.#running = true;
      nextTurn(() => this.#nap());
    }
    return work;
  }

  #nap(): void {
    this.#running = this.#awaited > 0;
    if (!this.#running) return;
    const waited = performance.now() - this.#since;
    Atomics.wait(this.#cell, 0, 0, Math.min(SHARE * waited, LONGEST));
    nextTurn(() => this.#nap());
  }
}
