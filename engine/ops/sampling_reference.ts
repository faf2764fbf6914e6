/** Sampling in float64, by sorting, as Hugging Face's processors state it. */

import { philox4x32, seedKey } from "../random/philox.ts";
import type { Sampling } from "./sampling.ts";

/** penalise.wgsl: the logits that the rest works on. `seen` are token ids. */
export function penaliseReference(
  logits: ArrayLike<number>,
  seen: ReadonlySet<number>,
  penalty = 1,
): number[] {
  const largest = 3.4028234663852886e38;
  const number = (x: number) => Number.isNaN(x) ? -Infinity : Math.min(x, largest) + 0;
  return Array.from(logits, (logit, id) => {
    const x = number(logit);
    if (!seen.has(id)) return x;
    return number(Math.fround(x > 0 ? x / penalty : x * penalty));
  });
}

/** The least logit that top-k and then top-p keep, each with all that equal it. */
export function floorReference(scores: readonly number[], sampling: Sampling): number {
  const { topK = scores.length, topP = 1, temperature } = sampling;
  const falling = scores.toSorted((a, b) => b - a);
  const least = falling[Math.min(topK, falling.length) - 1];
  if (topP === 1) return least;
  const rising = falling.filter((x) => x >= least).reverse();
  const masses = rising.map((x) => Math.exp((x - falling[0]) / temperature));
  const total = masses.reduce((sum, mass) => sum + mass, 0);
  let below = 0;
  for (const [i, mass] of masses.entries()) {
    below += mass / total;
    if (below > 1 - topP) return rising[i];
  }
  return falling[0];
}

/** Unnormalised probabilities, 0 for what is left out. */
export function massesReference(scores: readonly number[], sampling: Sampling): number[] {
  const floor = floorReference(scores, sampling);
  const highest = scores.reduce((a, b) => Math.max(a, b));
  const masses = scores.map((x) =>
    x < floor || x === -Infinity ? 0 : Math.exp((x - highest) / sampling.temperature)
  );
  return masses.map((mass) => mass >= (sampling.minP ?? 0) ? mass : 0);
}

/** The number in [0, 1) that a draw takes. */
export function drawReference(seed: number, stream: number, step: number): number {
  const [word] = philox4x32([step, stream, 0, 0x73616d70], seedKey(seed));
  return (word >>> 8) / 2 ** 24;
}

/** Token ids in the order of the cumulative distribution. */
export function slotOrder(vocab: number): number[] {
  const order: number[] = [];
  for (let slot = 0; slot < 256; slot++) {
    for (let id = slot; id < vocab; id += 256) order.push(id);
  }
  return order;
}

/** For each token where its share of [0, 1) begins and ends. */
export function sharesReference(masses: readonly number[]): [number, number][] {
  const total = masses.reduce((sum, mass) => sum + mass, 0);
  const shares: [number, number][] = [];
  let sum = 0;
  for (const id of slotOrder(masses.length)) {
    shares[id] = [sum / total, (sum += masses[id]) / total];
  }
  return shares;
}
