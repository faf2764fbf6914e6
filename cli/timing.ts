/** `--timing`: where a command's time went. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import { TIMED } from "../engine/gpu/timings.ts";
import type { Flags } from "./args.ts";

/** The flag; its numbers are in the object of `--json` too. */
export const TIMING_FLAGS = {
  timing: {
    kind: "bool",
    help:
      "tell how long loading, compiling, computing and reading back took, and when the first result came",
  },
} as const satisfies Flags;

/** Seconds by kind of work. Kinds overlap; `first` and `total` count from the start of the program. */
export type TimingJson = Record<typeof TIMED[number] | "first" | "total", number>;

/** What a command took. */
export class Timing {
  #first: number | undefined;

  /** @param what the first result is called: `first token` */
  constructor(private readonly gpu: Gpu, private readonly what: string, readonly wanted: boolean) {
    gpu.timings.detailed = wanted;
  }

  /** To be called with every result; the first one counts. */
  result(): void {
    this.#first ??= performance.now();
  }

  /** For an object that is printed: nothing where it was not asked for. */
  json(): { timing?: TimingJson } {
    return this.wanted ? { timing: this.#seconds() } : {};
  }

  /** Prints it on standard error, where it was asked for. */
  print(): void {
    if (!this.wanted) return;
    const { first, total, ...kinds } = this.#seconds();
    const parts = Object.entries(kinds).map(([kind, seconds]) => `${kind} ${seconds} s`);
    console.error(`Timing: ${parts.join(", ")}; ${this.what} after ${first} s, ${total} s in all`);
  }

  #seconds(): TimingJson {
    const { timings } = this.gpu;
    const seconds = (ms: number) => Math.round(ms) / 1000;
    const now = performance.now();
    const kinds = TIMED.map((kind) => [kind, seconds(timings.ms(kind))]);
    return {
      ...Object.fromEntries(kinds),
      first: seconds(this.#first ?? now),
      total: seconds(now),
    };
  }
}
