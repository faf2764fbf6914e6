/**
 * Philox4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011): random words
 * that are a function of a counter and a key, so they are the same everywhere and in any order of asking. sample.wgsl
 * holds the same function for the device.
 */

const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const KEY_STEPS = [0x9e3779b9, 0xbb67ae85];

/** Four random 32-bit words for a counter of four and a key of two 32-bit words. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [a, b, c, d] = counter.map((word) => word >>> 0);
  let [k0, k1] = key.map((word) => word >>> 0);
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = multiply(MULTIPLIERS[0], a);
    const [high1, low1] = multiply(MULTIPLIERS[1], c);
    [a, b, c, d] = [(high1 ^ b ^ k0) >>> 0, low1, (high0 ^ d ^ k1) >>> 0, low0];
    k0 = (k0 + KEY_STEPS[0]) >>> 0;
    k1 = (k1 + KEY_STEPS[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** The key that a seed in [0, 2⁵³) stands for: its low and its high word. */
export function seedKey(seed: number): [number, number] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32)];
}

/** The high and the low word of the 64-bit product of two 32-bit words; every sum stays under 2⁵³. */
function multiply(x: number, y: number): [number, number] {
  const [xHigh, xLow] = [x >>> 16, x & 0xffff];
  const low = xLow * y;
  const high = xHigh * y + Math.floor(low / 0x10000);
  return [Math.floor(high / 0x10000) >>> 0, Math.imul(x, y) >>> 0];
}
