import { assertEquals } from "@std/assert";
import { philox4x32, seedKey } from "./philox.ts";

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

Deno.test("seedKey splits a seed into its words", () => {
  assertEquals(seedKey(7), [7, 0]);
  assertEquals(seedKey(2 ** 32 + 5), [5, 1]);
  assertEquals(seedKey(2 ** 53 - 1), [0xffffffff, 0x1fffff]);
});
