import { assertEquals } from "@std/assert";
import { stopAt, StopFilter, textBeforeStop } from "./stop_strings.ts";

/** Token n is the n-th letter of the alphabet, twice. */
const tokenizer = {
  decode: (ids: ArrayLike<number>) => Array.from(ids, (id) => "abcdef"[id].repeat(2)).join(""),
};

Deno.test("a sequence ends with the token that completes a stop text", () => {
  const check = stopAt(["bbc", "f"], tokenizer)!;
  assertEquals(check(0, [0, 1]), false);
  assertEquals(check(0, [0, 1, 2]), true);
  assertEquals(check(0, [0, 2, 1]), false);
  assertEquals(check(0, [5]), true);
  assertEquals(stopAt([], tokenizer), undefined);
});

Deno.test("text is cut before the first stop text", () => {
  assertEquals(textBeforeStop("one. two; three", [";", "."]), "one");
  assertEquals(textBeforeStop("one", [";"]), "one");
  assertEquals(textBeforeStop("; one", [";"]), "");
});

Deno.test("what may begin a stop text is held back until it is known", () => {
  const filter = new StopFilter(["\n\nUser:"]);
  assertEquals(filter.push("Hello"), "Hello");
  assertEquals(filter.push(" there\n"), " there");
  assertEquals(filter.push("\nUs"), "");
  assertEquals(filter.push("e it"), "\n\nUse it");
  assertEquals(filter.push("\n\nUser: more"), "");
  assertEquals(filter.end(), "");
  const unfinished = new StopFilter(["END"]);
  assertEquals([unfinished.push("the EN"), unfinished.end()], ["the ", "EN"]);
  const none = new StopFilter([]);
  assertEquals([none.push("a"), none.end()], ["a", ""]);
});
