import { assertEquals } from "@std/assert";
import { displayWidth } from "./table.ts";
import { StackedAnswers } from "./stacked_answers.ts";
import { columnLines, columnTitles, TwoColumns } from "./two_columns.ts";

/** A terminal that knows the control sequences used here, and fails at any other. */
class Terminal {
  /** Every line, those that have scrolled off too; a wide character is followed by an empty cell. */
  readonly #lines: string[][] = [[]];
  #row = 0;
  #column = 0;

  constructor(readonly columns: number, readonly rows: number) {}

  readonly write = (text: string): void => {
    // deno-lint-ignore no-control-regex
    const token = /\x1b\[(\d*)([A-Z])|[\r\n]|\P{C}\p{M}*/uy;
    for (let at = 0; at < text.length; at = token.lastIndex) {
      token.lastIndex = at;
      const match = token.exec(text);
      if (!match) throw new Error(`cannot show ${JSON.stringify(text.slice(at, at + 20))}`);
      const [whole, count, command] = match;
      if (command) this.#control(command, count === "" ? undefined : Number(count));
      else if (whole === "\r") this.#column = 0;
      else if (whole === "\n") this.#lines[++this.#row] ??= [];
      else this.#put(whole);
    }
  };

  get #scrolled(): number {
    return Math.max(0, this.#lines.length - this.rows);
  }

  #control(command: string, count = 1): void {
    // After a full row the cursor still stands on its last column.
    const column = Math.min(this.#column, this.columns - 1);
    if (command === "A") this.#row = Math.max(this.#scrolled, this.#row - count);
    else if (command === "B") this.#row = Math.min(this.#lines.length - 1, this.#row + count);
    else if (command === "G") this.#column = count - 1;
    else {
      assertEquals(command, "K");
      this.#lines[this.#row].length = Math.min(this.#lines[this.#row].length, column);
    }
  }

  #put(character: string): void {
    const width = displayWidth(character);
    if (this.#column + width > this.columns) {
      this.#lines[++this.#row] ??= [];
      this.#column = 0;
    }
    const line = this.#lines[this.#row];
    while (line.length < this.#column) line.push(" ");
    line[this.#column++] = character;
    for (let i = 1; i < width; i++) line[this.#column++] = "";
  }

  /** The lines' text; `below` is where the cursor is. */
  get lines(): string[] {
    assertEquals([this.#row, this.#column], [this.#lines.length - 1, 0], "the cursor is below");
    return this.#lines.slice(0, -1).map((line) => line.join("").trimEnd());
  }
}

/** Both texts, piece by piece, on a terminal with some lines on it. */
function shown(base: string, finetuned: string, columns: number, rows: number, piece = 3) {
  const terminal = new Terminal(columns, rows);
  terminal.write("> question\r\n");
  const view = new TwoColumns(terminal);
  for (const [side, text] of [["base", base], ["finetuned", finetuned]] as const) {
    view.begin(side);
    const characters = [...text];
    while (characters.length > 0) view.push(characters.splice(0, piece).join(""));
  }
  view.end();
  return terminal.lines.slice(1);
}

Deno.test("TwoColumns puts the second text beside the first", () => {
  assertEquals(shown("Let the oven get hot", "No oven", 23, 10), [
    "Let the    │ No oven",
    "oven get   │",
    "hot        │",
  ]);
  assertEquals(shown("No oven", "Let the oven get hot", 23, 10), [
    "No oven    │ Let the",
    "           │ oven get",
    "           │ hot",
  ]);
});

Deno.test("TwoColumns puts the second text below where the first has no room on the terminal", () => {
  const left = "1\n2\n3\n4";
  assertEquals(shown(left, "a\nb", 23, 7), [
    "1          │ a",
    "2          │ b",
    "3          │",
    "4          │",
  ]);
  assertEquals(shown(left, "a\nb", 23, 6), [
    ...["1", "2", "3", "4"].map((row) => `${row}          │`),
    "           │ a",
    "           │ b",
  ]);
});

Deno.test("TwoColumns goes on when the second text is longer than the terminal", () => {
  const right = Array.from({ length: 12 }, (_, i) => `row ${i}`);
  assertEquals(
    shown("left", right.join("\n"), 23, 6),
    right.map((row, i) => `${(i === 0 ? "left" : "").padEnd(10)} │ ${row}`),
  );
});

Deno.test("TwoColumns shows an answer that has no text", () => {
  assertEquals(shown("", "", 23, 10), ["           │"]);
  assertEquals(shown("a", "", 23, 10), ["a          │"]);
  const terminal = new Terminal(23, 10);
  new TwoColumns(terminal).end();
  assertEquals(terminal.lines, []);
});

Deno.test("TwoColumns ends as whole texts are set, for wide characters and full rows too", () => {
  const texts = [
    "0123456789 0123456789012345 x",
    "蛋糕很好吃，烤箱要热。 Bake it 🍰🍰🍰🍰🍰🍰",
    "Prehéat the oven\n\n  to 190 °C\nand wait for it to be hot, then wait again",
    "one\ntwo\n\x1b[2J\x07three",
  ];
  for (const base of texts) {
    for (const finetuned of texts) {
      for (const columns of [23, 24, 61]) {
        for (const piece of [1, 4, 1000]) {
          assertEquals(
            shown(base, finetuned, columns, 40, piece),
            columnLines(base, finetuned, columns).split("\n"),
          );
        }
      }
    }
  }
});

Deno.test("columnTitles() names both sides over a rule, in the width that there is", () => {
  const names = { base: "a base with a long name", finetuned: "\x1btuned" };
  assertEquals(columnTitles(names, 23).split("\n"), [
    "a base wi… │ \\x1btuned",
    "───────────┼───────────",
  ]);
});

Deno.test("StackedAnswers puts each answer under its name", () => {
  const terminal = new Terminal(20, 8);
  const view = new StackedAnswers(terminal, { base: "small", finetuned: "a very long name of it" });
  view.begin("base");
  for (const text of ["Let the oven get", " hot, 0123", "4567890123456789"]) view.push(text);
  view.begin("finetuned");
  view.push("No");
  view.end();
  assertEquals(terminal.lines, [
    "── small ──",
    "Let the oven get",
    "hot,",
    "01234567890123456789",
    "── a very long n… ──",
    "No",
  ]);
});
