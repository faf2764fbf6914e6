import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { randomDirection } from "./nulls.ts";
import { vectorNorm } from "./patchscope.ts";

const HIDDEN = 192;

function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + x * b[i], 0) / (vectorNorm(a) * vectorNorm(b));
}

Deno.test("randomDirection() has the length that was asked for, odd widths too", () => {
  for (const hidden of [1, 2, 3, HIDDEN, 2049]) {
    for (const length of [1e-3, 1, 250]) {
      const direction = randomDirection(hidden, length, 0, 1);
      assertEquals(direction.length, hidden);
      assertAlmostEquals(vectorNorm(direction), length, 1e-5 * length);
    }
  }
});

Deno.test("randomDirection() is the same for a seed and an index, and no other", () => {
  const one = randomDirection(HIDDEN, 1, 7, 1);
  assertEquals(randomDirection(HIDDEN, 1, 7, 1), one);
  // Independent directions in 192 dimensions: their cosine has a deviation of 0.07.
  for (const other of [[7, 2], [8, 1], [7 + 2 ** 32, 1]]) {
    const [seed, index] = other;
    assert(Math.abs(cosine(randomDirection(HIDDEN, 1, seed, index), one)) < 0.35, `${other}`);
  }
});

Deno.test("randomDirection() is normal in every component", () => {
  const hidden = 20_000;
  const values = randomDirection(hidden, Math.sqrt(hidden), 3, 0);
  const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / hidden;
  assertAlmostEquals(moment(1), 0, 0.05);
  assertAlmostEquals(moment(2), 1, 1e-4);
  assertAlmostEquals(moment(3), 0, 0.15);
  assertAlmostEquals(moment(4), 3, 0.3);
  // Sine and cosine of one draw are independent.
  let product = 0;
  for (let i = 0; i < hidden; i += 2) product += values[i] * values[i + 1];
  assertAlmostEquals(product / (hidden / 2), 0, 0.05);
});

Deno.test("randomDirection() of no component is refused", () => {
  assertThrows(() => randomDirection(0, 1, 0, 0), UsageError, "no direction");
});
