/** The end of a device, for whoever waits for something of it. */

/** Fails what is waited for when the device is gone, and keeps nothing of waits that are over, however many there were. */
export class Loss {
  readonly #failures = new Set<(reason: unknown) => void>();
  #gone: Promise<never> | undefined;

  /** @param lost rejects with the reason when the device is gone */
  constructor(lost: Promise<never>) {
    lost.catch((reason) => {
      this.#gone = lost;
      for (const fail of this.#failures) fail(reason);
    });
  }

  /** Waits that are under way. */
  get waits(): number {
    return this.#failures.size;
  }

  /** What the work gives; or why the device is gone, if that comes first. */
  during<T>(work: Promise<T>): Promise<T> {
    // A race leaves a record in each of its promises for as long as that is not settled: this one is.
    if (this.#gone) return Promise.race([work, this.#gone]);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#failures.add(reject);
    work.then(resolve, reject).finally(() => this.#failures.delete(reject));
    return promise;
  }
}
