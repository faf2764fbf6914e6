import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { shuffledIndices } from "./shuffle.ts";

Deno.test("a seed's order is fixed for ever", () => {
  assertEquals([...shuffledIndices(10, 0)], [4, 0, 9, 5, 2, 7, 1, 3, 8, 6]);
  assertEquals([...shuffledIndices(10, 1)], [4, 6, 0, 2, 7, 3, 1, 8, 5, 9]);
  assertNotEquals([...shuffledIndices(10, 2 ** 32)], [...shuffledIndices(10, 0)]);
});

Deno.test("a shuffle is a permutation, and each order of three comes up as often", () => {
  assertEquals([...shuffledIndices(1000, 5)].sort((a, b) => a - b), [...Array(1000).keys()]);
  assertEquals([shuffledIndices(0, 1).length, shuffledIndices(1, 1)[0]], [0, 0]);
  const orders = new Map<string, number>();
  for (let seed = 0; seed < 3000; seed++) {
    const order = shuffledIndices(3, seed).join();
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  assertEquals(orders.size, 6);
  for (const count of orders.values()) assert(Math.abs(count - 500) < 90, `${[...orders]}`);
});
