/** Text that comes piece by piece, set in rows of a fixed width. */

import { displayWidth } from "./table.ts";
import { visibleLines } from "./visible.ts";

const TAB = "    ";
// A grapheme has no longest form: one letter may carry thousands of accents.
const MAX_GRAPHEME_UNITS = 32;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * Rows of a model's text, safe to print. Only the last row changes when more text comes, so that rows can be drawn as they
 * fill. White space at the beginning and at the end of the text is left out.
 *
 * @example
 * ```ts
 * import { CellText } from "./cell_text.ts";
 * const text = new CellText(10);
 * text.push("Preheat the ov");
 * text.push("en.");
 * console.assert(text.rows.join("|") === "Preheat|the oven.");
 * ```
 */
export class CellText {
  readonly rows: string[] = [""];
  readonly #width: number;
  /** White space that counts only if text follows. */
  #held = "";
  #begun = false;

  /** @param width terminal cells of a row; 2 at least, which a wide character fills */
  constructor(width: number) {
    this.#width = Math.max(2, width);
  }

  /** Takes more text in. */
  push(text: string): void {
    const safe = this.#held + visibleLines(text.replaceAll("\r\n", "\n").replaceAll("\t", TAB));
    const begun = this.#begun ? safe : safe.trimStart();
    const shown = begun.trimEnd();
    this.#held = begun.slice(shown.length);
    if (shown === "") return;
    this.#begun = true;
    const lines = (this.rows.pop() + shown).split("\n");
    for (const line of lines) this.rows.push(...wrapLine(line, this.#width));
  }
}

/** A run of spaces, a wide character or a word; what is not a space may begin a row. */
interface Piece {
  graphemes: { text: string; cells: number }[];
  cells: number;
  isSpace: boolean;
}

function* pieces(line: string): Generator<Piece> {
  let piece: Piece | undefined;
  let isWide = false;
  for (const { segment } of graphemes.segment(line)) {
    const text = segment.length > MAX_GRAPHEME_UNITS ? "…" : segment;
    const cells = displayWidth(text);
    const isSpace = text === " ";
    // Scripts with wide characters set no spaces between words.
    if (piece && (isSpace !== piece.isSpace || isWide || cells > 1)) {
      yield piece;
      piece = undefined;
    }
    piece ??= { graphemes: [], cells: 0, isSpace };
    piece.graphemes.push({ text, cells });
    piece.cells += cells;
    isWide = cells > 1;
  }
  if (piece) yield piece;
}

/** Breaks a line at spaces, which are dropped there, and inside of words that are wider than a row. */
function wrapLine(line: string, width: number): string[] {
  const rows = [""];
  let used = 0;
  let gap = 0;
  const add = (text: string, cells: number) => {
    rows[rows.length - 1] += text;
    used += cells;
  };
  const breakRow = () => {
    rows.push("");
    used = 0;
  };
  for (const piece of pieces(line)) {
    if (piece.isSpace) {
      gap = piece.cells;
      continue;
    }
    if (used + gap + piece.cells <= width) add(" ".repeat(gap), gap);
    else if (used > 0) breakRow();
    for (const { text, cells } of piece.graphemes) {
      if (used + cells > width) breakRow();
      add(text, cells);
    }
    gap = 0;
  }
  return rows;
}
