/** Where the time goes, by kind of work: how long at least one piece of each kind was under way. */

/**
 * `load`: weights on their way to the device. `compile`: pipelines being made. `compute`: submitted passes that are not done.
 * `readback`: results on their way back.
 */
export const TIMED = ["load", "compile", "compute", "readback"] as const;

/** A kind of work. */
export type Timed = typeof TIMED[number];

/** Times in milliseconds. Kinds run side by side, so their sum may be more than the whole. */
export class Timings {
  /**
   * Whether passes are waited for in order to be timed: on some backends every wait costs something. Off, `compute` stays 0 and
   * `readback` has the passes in it that it waits for.
   */
  detailed = false;
  readonly #kinds = new Map<Timed, { open: number; since: number; total: number }>();

  constructor(private readonly now = () => performance.now()) {}

  /** Counts some work, from now to its end, however it ends. */
  async during<T>(kind: Timed, work: Promise<T>): Promise<T> {
    const one = this.#kind(kind);
    if (one.open++ === 0) one.since = this.now();
    try {
      return await work;
    } finally {
      if (--one.open === 0) one.total += this.now() - one.since;
    }
  }

  /** Milliseconds until now. */
  ms(kind: Timed): number {
    const { open, since, total } = this.#kind(kind);
    return open > 0 ? total + this.now() - since : total;
  }

  #kind(kind: Timed) {
    let one = this.#kinds.get(kind);
    if (!one) this.#kinds.set(kind, one = { open: 0, since: 0, total: 0 });
    return one;
  }
}
