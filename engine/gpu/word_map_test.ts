import { assertEquals } from "@std/assert";
import { WordMap } from "./word_map.ts";

const words = (...values: number[]) => Uint32Array.from(values);

Deno.test("values are found by the content of their words, of which there are as many as were meant", () => {
  const map = new WordMap<string>();
  const keys = [[], [0], [0, 0], [1, 2], [2, 1], [1, 2, 0], [0xffffffff], [0x80000000], [
    0x7fffffff,
  ]];
  for (const key of keys) map.add(words(...key), key.join());
  assertEquals(map.size, keys.length);
  for (const key of keys) {
    assertEquals(map.get(words(...key)), key.join());
    assertEquals(map.get(words(...key, 7, 8), key.length), key.join());
    assertEquals(map.get(words(...key, 3)), undefined);
  }
  map.forget((value) => value.startsWith("1"));
  assertEquals(map.size, keys.length - 2);
  assertEquals([[1, 2], [2, 1]].map((key) => map.get(words(...key))), [undefined, "2,1"]);
  map.clear();
  assertEquals([map.size, map.get(words(0))], [0, undefined]);
});

Deno.test("a key is a copy, and keys with one hash are told apart", () => {
  const map = new WordMap<number>();
  const key = words(5);
  map.add(key, 1);
  key[0] = 6;
  assertEquals([map.get(words(5)), map.get(key)], [1, undefined]);
  // More keys than there are hashes to tell apart by luck: 2^17 of 2^30 meet some eight times.
  const many = new WordMap<number>();
  const numbers = Array.from({ length: 1 << 17 }, (_, i) => i);
  const keyOf = (i: number) => words(i, i ^ 0x5bd1e995);
  for (const i of numbers) many.add(keyOf(i), i);
  assertEquals(numbers.find((i) => many.get(keyOf(i)) !== i), undefined);
});
