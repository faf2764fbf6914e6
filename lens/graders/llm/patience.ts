/** Asking again what may pass: a busy server, a cut connection. */

import type { Sleep } from "../../../models/hub/retry.ts";
import { ChatFailure } from "./failures.ts";

/** The parts of {@link patiently} that a test replaces. */
export interface Clock {
  sleep: Sleep;
  /** In [0, 1). */
  random: () => number;
}

/** Requests in a row that may bring no answer. */
const MAX_FAILURES = 6;

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

/** A server that asks for more is taken at its word, and the user told. */
const LONGEST_WAIT_MS = 300_000;

/**
 * Asks until there is an answer, and waits between: as long as the server says, or {@link delayMs}.
 *
 * @param onFailure is told of every failure
 * @throws {ChatFailure} the last one, if it will not pass or the attempts are used up
 */
export async function patiently<T>(
  ask: () => Promise<T>,
  { sleep, random }: Clock,
  onFailure: (failure: ChatFailure) => void,
  signal?: AbortSignal,
): Promise<T> {
  for (let failed = 1;; failed++) {
    signal?.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ChatFailure)) throw error;
      onFailure(error);
      const wait = error.waitMs || delayMs(failed, random);
      if (!error.passing || failed === MAX_FAILURES || wait > LONGEST_WAIT_MS) throw error;
      await sleep(wait, signal);
    }
  }
}

/** 1 s, 2 s, 4 s … up to 30 s, less up to a half by chance: those who were turned away together do not come back together. */
export function delayMs(failed: number, random: () => number): number {
  const whole = Math.min(FIRST_DELAY_MS * 2 ** (failed - 1), LONGEST_DELAY_MS);
  return whole * (1 - random() / 2);
}
