import { assert, assertEquals } from "@std/assert";
import { randomBelow } from "./random.ts";

Deno.test("randomBelow is even, in range, and depends on every argument", () => {
  const counts = new Array(6).fill(0);
  for (let i = 0; i < 6000; i++) counts[randomBelow(7, 0, i, 6)]++;
  for (const count of counts) assert(Math.abs(count - 1000) < 130, `${counts}`);
  const draw = (seed: number, stream: number, index: number) =>
    randomBelow(seed, stream, index, 2 ** 32);
  const drawn = [
    draw(1, 0, 0),
    draw(2, 0, 0),
    draw(1, 1, 0),
    draw(1, 0, 1),
    draw(2 ** 32 + 1, 0, 0),
  ];
  assertEquals(new Set([...drawn, draw(1, 0, 2 ** 32)]).size, 6);
  assertEquals(randomBelow(1, 0, 0, 1), 0);
});

Deno.test("randomBelow draws again where a word would favour small numbers", () => {
  // Two thirds of 2³²: without a second draw, numbers under a third would come up twice as often.
  const bound = 2 * Math.floor(2 ** 32 / 3);
  let low = 0;
  for (let i = 0; i < 2000; i++) if (randomBelow(3, 0, i, bound) < bound / 2) low++;
  assert(Math.abs(low - 1000) < 120, `${low} of 2000 in the lower half`);
});
