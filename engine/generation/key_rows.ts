/** Which rows of a cache of keys and values are in use. */

/** Hands out runs of rows, the first that is long enough. */
export class KeyRows {
  /** Runs that nobody has, by rising start; no two of them touch. */
  #free: { start: number; length: number }[];

  constructor(readonly capacity: number) {
    this.#free = capacity > 0 ? [{ start: 0, length: capacity }] : [];
  }

  /** Rows in use. */
  get used(): number {
    return this.#free.reduce((rows, { length }) => rows - length, this.capacity);
  }

  /** The first of `rows` consecutive rows, or undefined while there is no such run. */
  reserve(rows: number): number | undefined {
    if (rows === 0) return 0;
    const at = this.#free.findIndex(({ length }) => length >= rows);
    if (at < 0) return undefined;
    const run = this.#free[at];
    const { start } = run;
    run.start += rows;
    run.length -= rows;
    if (run.length === 0) this.#free.splice(at, 1);
    return start;
  }

  /** Gives rows back that {@link reserve} gave. */
  release(start: number, rows: number): void {
    if (rows === 0) return;
    let at = this.#free.findIndex((run) => run.start > start);
    if (at < 0) at = this.#free.length;
    const [before, after] = [this.#free[at - 1], this.#free[at]];
    const run = { start, length: rows };
    let first = at;
    let replaced = 0;
    if (before && before.start + before.length === start) {
      run.start = before.start;
      run.length += before.length;
      first--;
      replaced++;
    }
    if (after && start + rows === after.start) {
      run.length += after.length;
      replaced++;
    }
    this.#free.splice(first, replaced, run);
  }
}
