/** Many requests side by side: not too many at once, and none once one has failed for good. */

/** Lets a limited number of tasks run at a time; the others wait in the order in which they came. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs a task when there is room. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((go) => this.#waiting.push(go));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

/**
 * The results of `work` for all items, in their order. When one fails the others' signal aborts, and once all have ended its
 * error is thrown: nothing goes on in the background.
 */
export async function allOrNone<T, U>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<U>,
): Promise<U[]> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const all = items.map((item) => work(item, either));
  for (const one of all) one.catch((error) => stop.abort(error));
  await Promise.allSettled(all);
  stop.signal.throwIfAborted();
  return await Promise.all(all);
}

/**
 * The results of `work` for all items, in their order, `most` at a time. Once one fails none is begun any more, and its error is
 * thrown when those under way have ended.
 */
export async function sideBySide<T, U>(
  items: readonly T[],
  most: number,
  work: (item: T, index: number) => Promise<U>,
): Promise<U[]> {
  const results = new Array<U>(items.length);
  const waiting = items.entries();
  let failed = false;
  const worker = async () => {
    for (const [i, item] of waiting) {
      if (failed) return;
      results[i] = await work(item, i).catch((error) => {
        failed = true;
        throw error;
      });
    }
  };
  const workers = Array.from({ length: Math.min(most, items.length) }, worker);
  const ends = await Promise.allSettled(workers);
  const failure = ends.find((end) => end.status === "rejected");
  if (failure) throw failure.reason;
  return results;
}
