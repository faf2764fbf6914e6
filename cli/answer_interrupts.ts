/** Ctrl-C while answers are being written. */

import { InterruptedError } from "../engine/errors.ts";
import type { Questions } from "./questions.ts";

/** Ends one answer at a time; until it is disposed of. */
export class AnswerInterrupts {
  #answer = new AbortController();
  readonly #watch: Disposable | undefined;

  /** @param quit ends everything: what ends an answer was asked for twice */
  constructor(questions: Questions, quit: () => void) {
    this.#watch = questions.onInterrupt?.(() => {
      if (!this.#answer.signal.aborted) {
        this.#answer.abort(new InterruptedError("Interrupted by Ctrl-C: the answer ends here"));
        return;
      }
      this[Symbol.dispose]();
      quit();
    });
  }

  /** A signal for the next answer. */
  next(): AbortSignal {
    this.#answer = new AbortController();
    return this.#answer.signal;
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]();
  }
}
