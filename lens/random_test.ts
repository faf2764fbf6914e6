import { assert, assertEquals } from "@std/assert";
import { philox4x32, randomBelow } from "./random.ts";

Deno.test("philox4x32 gives the known answers published with Random123", () => {
  const hex = (words: number[]) => words.map((w) => w.toString(16).padStart(8, "0")).join(" ");
  const ones = 0xffffffff;
  assertEquals(hex(philox4x32([0, 0, 0, 0], [0, 0])), "6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  assertEquals(
    hex(philox4x32([ones, ones, ones, ones], [ones, ones])),
    "408f276d 41c83b0e a20bc7c6 6d5451fd",
  );
  assertEquals(
    hex(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  );
});

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
