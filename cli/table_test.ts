import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { displayWidth, formatTable, truncate } from "./table.ts";

Deno.test("formatTable() aligns text to the left and numbers to the right", () => {
  const table = formatTable(
    [{ title: "token" }, { title: "prob", align: "right" }],
    [["cake", "0.5"], ["bread", "12.25"]],
    { width: 40 },
  );
  assertEquals(table, "token   prob\n─────  ─────\ncake     0.5\nbread  12.25");
});

Deno.test("formatTable() keeps columns straight under wide and combining characters", () => {
  const table = formatTable([{ title: "a" }, { title: "b" }], [
    ["蛋糕", "x"],
    ["e\u0301", "x"],
    ["👩‍🍳".slice(0, 2), "x"],
  ], { width: 40 });
  const ends = table.split("\n").slice(2).map((line) =>
    displayWidth(line.slice(0, line.indexOf("x")))
  );
  assertEquals(ends, [6, 6, 6]);
});

Deno.test("formatTable() lets no cell write escape sequences, line breaks or reversed text", () => {
  const table = formatTable([{ title: "t" }], [
    ["\x1b[2J\x07"],
    ["a\nb\tc\r"],
    ["\u202eabc\u0085"],
    ["\ud800"],
  ], {
    width: 60,
  });
  // deno-lint-ignore no-control-regex
  assertEquals(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]/.test(table), false);
  assertStringIncludes(table, "\\x1b[2J\\x07");
  assertStringIncludes(table, "a\\nb\\tc\\r");
  assertStringIncludes(table, "\\u202eabc\\x85");
  assertEquals(table.split("\n").length, 6);
});

Deno.test("formatTable() shrinks the widest column to the terminal's width", () => {
  const table = formatTable([{ title: "n", align: "right" }, { title: "text" }], [[
    "12345",
    "x".repeat(200),
  ]], {
    width: 30,
  });
  for (const line of table.split("\n")) assert(displayWidth(line) <= 30, line);
  assertStringIncludes(table, "12345");
  assertStringIncludes(table, "x…");
});

Deno.test("truncate() counts cells and never splits a character", () => {
  assertEquals(truncate("cake", 4), "cake");
  assertEquals(truncate("cakes", 4), "cak…");
  assertEquals(truncate("蛋糕蛋糕", 5), "蛋糕…");
  assertEquals(truncate("蛋糕蛋糕", 4), "蛋…");
  assertEquals(truncate("e\u0301e\u0301e\u0301", 2), "e\u0301…");
  assertEquals(truncate("abc", 1), "…");
  assertEquals(truncate("abc", 0), "");
});

Deno.test("truncate() bounds a letter that carries thousands of accents", () => {
  assertEquals(truncate("a" + "\u0301".repeat(10_000) + "b", 40).length < 10, true);
});
