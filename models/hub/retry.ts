/** Trying again what may pass: a busy server, a connection that was cut. */

import { HubError } from "../../engine/errors.ts";

/** A failure that may pass by itself. */
export class HubUnavailable extends HubError {
  constructor(
    message: string,
    /** How long the server asks to wait, in milliseconds. */
    readonly waitMs?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Waits; rejects with the signal's reason as soon as it aborts. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

/** How {@link withRetries} goes about it. */
export interface RetryOptions {
  /** How often at most in a row. */
  attempts: number;
  sleep: Sleep;
  signal?: AbortSignal;
}

/** Attempts, unless a caller has something else to fall back on. */
export const ATTEMPTS = 6;

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

/** A server that asks for more is taken at its word, and the user told. */
const LONGEST_WAIT_MS = 300_000;

/**
 * Runs a task until it succeeds, fails for good, or is out of attempts; waits 1 s, 2 s, 4 s … between them, or what the
 * server asks for.
 *
 * @param task throws {@link HubUnavailable} for what may pass. It may call `progressed`: the attempts begin anew then
 */
export async function withRetries<T>(
  task: (progressed: () => void) => Promise<T>,
  { attempts, sleep, signal }: RetryOptions,
): Promise<T> {
  for (let failed = 0;;) {
    signal?.throwIfAborted();
    try {
      return await task(() => failed = 0);
    } catch (error) {
      if (!(error instanceof HubUnavailable) || ++failed >= attempts) throw error;
      const wait = error.waitMs ?? Math.min(FIRST_DELAY_MS * 2 ** (failed - 1), LONGEST_DELAY_MS);
      if (wait > LONGEST_WAIT_MS) throw error;
      await sleep(wait, signal);
    }
  }
}

/** {@link Sleep} by the clock. */
export const sleep: Sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });

/** What a 429 or 503 asks to wait, in milliseconds: `Retry-After` in seconds or as a date, or the Hub's `RateLimit: …;t=55`. */
export function requestedWait(headers: Headers, now: number = Date.now()): number | undefined {
  const after = headers.get("retry-after")?.trim();
  if (after && /^\d+$/.test(after)) return Number(after) * 1000;
  const date = after ? Date.parse(after) : NaN;
  if (!Number.isNaN(date)) return Math.max(0, date - now);
  const reset = /;\s*r=0\s*;\s*t=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
  return reset === undefined ? undefined : Number(reset) * 1000;
}
