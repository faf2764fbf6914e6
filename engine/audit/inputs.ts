/**
 * Numbers for audits: the same on every machine to the last bit, so that two people can compare what their adapters made
 * of them. Only integer arithmetic and exact products go into them, no function whose last bit depends on the runtime.
 */

/**
 * How the numbers of an input lie.
 *
 * - `normal`: about the normal distribution of variance 1
 * - `outliers`: the same with three columns a thousand times as large, as residual streams have them (Sun et al. 2024,
 *   "Massive Activations in Large Language Models")
 * - `denormal`: half of them under 2^-126, which an adapter may take for 0, the others a little above
 * - `large`: near the largest that the kernel's sums can hold; weights near the end of their dtype
 * - `equal`: all 0.1, which no binary number is
 * - `cancelling`: by turns positive and negative, and nearly of one size, so that sums lose their leading digits
 */
export const DISTRIBUTIONS = [
  "normal",
  "outliers",
  "denormal",
  "large",
  "equal",
  "cancelling",
] as const;

/** One of {@link DISTRIBUTIONS}. */
export type Distribution = typeof DISTRIBUTIONS[number];

type Floats = Float32Array<ArrayBuffer>;

/** √(12/8): makes the variance of a sum of eight uniform numbers 1. */
const SPREAD = 1.224744871391589;

/** A stream of numbers that a seed decides. */
export class Draw {
  #state: number;

  constructor(readonly distribution: Distribution, seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 random bits (mulberry32). */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A whole number from 0 to `count` − 1. */
  below(count: number): number {
    return Math.floor(this.word() / 2 ** 32 * count);
  }

  /** The sum of eight uniform numbers, of mean 0 and variance 1: within ±4.9. */
  normal(): number {
    let sum = 0;
    for (let i = 0; i < 4; i++) {
      const word = this.word();
      sum += (word >>> 16) + (word & 0xffff);
    }
    return (sum / 65536 - 4) * SPREAD;
  }

  /** `count` of {@link normal}, whatever the distribution. */
  normals(count: number): Floats {
    return Float32Array.from({ length: count }, () => this.normal());
  }

  /**
   * Rows of `width` numbers of the distribution.
   *
   * @param most `large` numbers are from 2^(most − 8) to 2^most
   */
  values(count: number, width: number, most = 100): Floats {
    const outliers = new Set([width >> 1, width >> 2, width - 1]);
    return Float32Array.from({ length: count }, (_, i) => {
      const column = i % width;
      switch (this.distribution) {
        case "normal":
          return this.normal();
        case "outliers":
          return this.normal() * (outliers.has(column) ? 1000 : 1);
        case "denormal":
          return this.normal() * 2 ** (this.word() & 1 ? -131 : -121);
        case "large":
          return this.#large(most);
        case "equal":
          return 0.1;
        case "cancelling":
          return (column & 1 ? -1 : 1) * (3 + this.normal() * 2 ** -16);
      }
    });
  }

  /**
   * Weights `[·, width]` that {@link values} are multiplied by: of the size that weights have, near the end of their dtype
   * for `large`, and nearly equal for `cancelling`, so that the products cancel too.
   */
  weights(count: number, width: number, most: number): Floats {
    const scale = 2 ** -Math.round(Math.log2(width) / 2);
    return Float32Array.from({ length: count }, () => {
      switch (this.distribution) {
        case "large":
          return this.#large(most);
        case "cancelling":
          return 1 + this.normal() * 2 ** -9;
        case "equal":
          return 0.1;
        default:
          return this.normal() * scale;
      }
    });
  }

  #large(most: number): number {
    const size = 2 ** (most - this.below(8));
    return (this.word() & 1 ? -1 : 1) * size * (0.5 + this.below(1 << 20) / 2 ** 21);
  }
}

/** The listed rows of `data` `[·, width]`, in the order of the list. */
export function rowsOf<T extends Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(
  data: T,
  width: number,
  rows: readonly number[],
): T {
  const out = new (data.constructor as new (length: number) => T)(rows.length * width);
  rows.forEach((row, i) => out.set(data.subarray(row * width, (row + 1) * width), i * width));
  return out;
}
