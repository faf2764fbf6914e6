import { assert, assertEquals } from "@std/assert";
import { CellText } from "./cell_text.ts";
import { displayWidth } from "./table.ts";

function rows(text: string, width: number): string[] {
  const cell = new CellText(width);
  cell.push(text);
  return cell.rows;
}

Deno.test("CellText breaks lines at spaces, and words that are longer than a row anywhere", () => {
  assertEquals(rows("Let the oven get hot", 8), ["Let the", "oven get", "hot"]);
  assertEquals(rows("a Donaudampfschiff b", 6), ["a", "Donaud", "ampfsc", "hiff b"]);
  assertEquals(rows("12345678 9", 8), ["12345678", "9"]);
});

Deno.test("CellText keeps line breaks and indentation, but no white space around the text", () => {
  assertEquals(rows(" \n\n a\n\n  b  c\n\td\n\n ", 10), ["a", "", "  b  c", "    d"]);
  assertEquals(rows("a\n        wide", 6), ["a", "wide"]);
  assertEquals(rows("a\r\nb", 10), ["a", "b"]);
});

Deno.test("CellText breaks between wide characters and never inside of a grapheme", () => {
  assertEquals(rows("a 蛋糕很好吃", 6), ["a 蛋糕", "很好吃"]);
  assertEquals(rows("🍰🍰🍰", 5), ["🍰🍰", "🍰"]);
  assertEquals(rows("e\u0301e\u0301e\u0301", 2), ["e\u0301e\u0301", "e\u0301"]);
});

Deno.test("CellText never lets text move the cursor", () => {
  assertEquals(rows("a\x1b[2Jb\u202ec", 40), ["a\\x1b[2Jb\\u202ec"]);
  const [row] = rows("e" + "\u0301".repeat(5000), 10);
  assert(row.length < 50);
});

Deno.test("CellText has the same rows however its text comes, and changes the last one only", () => {
  const parts = [
    "cake",
    " ",
    "  ",
    "\n",
    "Donaudampfschiff",
    "糕",
    "🍰",
    "e\u0301",
    ",",
    "\t",
    "\x07",
  ];
  for (let seed = 1; seed < 60; seed++) {
    let state = seed;
    const next = (below: number) => (state = state * 48271 % 0x7fffffff) % below;
    const text = Array.from({ length: 40 }, () => parts[next(parts.length)]);
    const width = 2 + next(20);
    const cell = new CellText(width);
    for (const part of text) {
      const before = cell.rows.slice(0, -1);
      cell.push(part);
      assertEquals(cell.rows.slice(0, before.length), before);
    }
    assertEquals(cell.rows, rows(text.join(""), width));
    assert(cell.rows.every((row) => displayWidth(row) <= width));
  }
});
