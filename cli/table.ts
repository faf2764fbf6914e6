/** Fixed-width tables for terminals. Cells may hold a model's output: nothing in them can move the cursor. */

import stringWidth from "string-width";
import { visible } from "./visible.ts";

/** One column of a table. */
export interface Column {
  title: string;
  /** `right` for numbers; `left` by default. */
  align?: "left" | "right";
  /** The column's least width in terminal cells when the table has to shrink; 8 by default. */
  minWidth?: number;
}

/** What {@link formatTable} may be told. */
export interface TableOptions {
  /** Terminal cells a line may fill; the terminal's width by default, or 120 where there is none. */
  width?: number;
}

const GAP = "  ";
const ELLIPSIS = "…";
const MIN_WIDTH = 8;
// A grapheme has no longest form: one letter may carry thousands of accents.
const MAX_CELL_UNITS = 4096;
const MAX_GRAPHEME_UNITS = 32;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Terminal cells that `text` fills: 2 for a wide character, 0 for a combining one. */
export function displayWidth(text: string): number {
  return stringWidth(text);
}

/** The longest beginning of `text` that fits `width` cells, ended by `…` if anything is cut off. */
export function truncate(text: string, width: number): string {
  const tooLong = text.length > MAX_CELL_UNITS;
  if (!tooLong && text.length <= MAX_GRAPHEME_UNITS && displayWidth(text) <= width) return text;
  const kept: string[] = [];
  let used = 0;
  let fits = 0;
  for (const { segment } of graphemes.segment(text.slice(0, MAX_CELL_UNITS))) {
    const part = segment.length > MAX_GRAPHEME_UNITS ? ELLIPSIS : segment;
    used += displayWidth(part);
    if (used > width) return kept.slice(0, fits).join("") + (width > 0 ? ELLIPSIS : "");
    kept.push(part);
    if (used <= width - 1) fits = kept.length;
  }
  return tooLong ? kept.slice(0, fits).join("") + ELLIPSIS : kept.join("");
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - displayWidth(text)));
  return align === "right" ? space + text : text + space;
}

/** Takes cells from the widest column until the line fits, and from no column below its least width. */
function shrink(widths: number[], least: readonly number[], room: number): void {
  let excess = widths.reduce((sum, width) => sum + width, 0) - room;
  for (; excess > 0; excess--) {
    let widest = -1;
    for (let i = 0; i < widths.length; i++) {
      if (widths[i] > least[i] && (widest < 0 || widths[i] > widths[widest])) widest = i;
    }
    if (widest < 0) return;
    widths[widest]--;
  }
}

/** Terminal cells of a line on standard output, or 120 where it is not a terminal. */
export function terminalWidth(): number {
  try {
    if (Deno.stdout.isTerminal()) return Math.max(40, Deno.consoleSize().columns);
  } catch {
    // A terminal that does not tell its size.
  }
  return 120;
}

/**
 * The table's lines, joined: titles, a rule, one line a row. Control characters are shown as escapes, cells are cut with
 * `…` where the line would be too long.
 *
 * @example
 * ```ts
 * import { formatTable } from "./table.ts";
 * console.log(formatTable([{ title: "token" }, { title: "prob", align: "right" }], [[" cake", "0.12"]]));
 * ```
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string {
  const { width = terminalWidth() } = options;
  // What cannot be shown anyway is cut before it is measured.
  const cell = (text: string) => truncate(visible(text.slice(0, MAX_CELL_UNITS)), width);
  const titles = columns.map((column) => cell(column.title));
  const body = rows.map((row) => columns.map((_, i) => cell(row[i] ?? "")));
  const widths = columns.map((_, i) =>
    body.reduce((most, row) => Math.max(most, displayWidth(row[i])), displayWidth(titles[i]))
  );
  const least = columns.map((column, i) => Math.min(widths[i], column.minWidth ?? MIN_WIDTH));
  shrink(widths, least, width - GAP.length * (columns.length - 1));
  const line = (cells: readonly string[]) =>
    cells.map((text, i) => pad(truncate(text, widths[i]), widths[i], columns[i].align ?? "left"))
      .join(GAP).trimEnd();
  const rule = widths.map((cells) => "─".repeat(cells)).join(GAP);
  return [line(titles), rule, ...body.map(line)].join("\n");
}
