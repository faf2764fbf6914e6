/** Two texts side by side on a terminal: the left one is written as it comes, then the right one beside it. */

import type { AnswerView, Names, Screen, Side } from "./answer_view.ts";
import { ERASE_RIGHT } from "./answer_view.ts";
import { CellText } from "./cell_text.ts";
import { displayWidth, truncate } from "./table.ts";
import { visible } from "./visible.ts";

const SEPARATOR = "│";

/** Lines under the left text that the terminal may have used: the cursor's, and room for the prompt. */
const SPARE_ROWS = 3;

/** Terminal cells of each column, with " │ " between them. */
function columnWidth(columns: number): number {
  return Math.floor((columns - 3) / 2);
}

/** Moves the cursor to a column, counted from 1. Nothing before it need be as wide as was thought. */
const toColumn = (column: number) => `\x1b[${column}G`;
const up = (rows: number) => rows > 0 ? `\x1b[${rows}A` : "";
const down = (rows: number) => rows > 0 ? `\x1b[${rows}B` : "";

/**
 * Two answers in columns.
 *
 * Where the left one has scrolled off, or would, the right one cannot be put beside it: it comes below then, in its column.
 */
export class TwoColumns implements AnswerView {
  readonly #width: number;
  #side: Side = "base";
  #text: CellText;
  /** Rows drawn so far, and the one that the cursor is in. */
  #height = 0;
  #row = 0;
  /** The row in which this side's text begins. */
  #top = 0;

  constructor(private readonly screen: Screen) {
    this.#width = columnWidth(screen.columns);
    this.#text = new CellText(this.#width);
  }

  begin(side: Side): void {
    this.#side = side;
    this.#text = new CellText(this.#width);
    this.#top = this.#height <= this.screen.rows - SPARE_ROWS ? 0 : this.#height;
    this.#draw(0);
  }

  push(text: string): void {
    if (text === "") return;
    const changed = this.#text.rows.length - 1;
    this.#text.push(text);
    this.#draw(changed);
  }

  end(): void {
    if (this.#height === 0) return;
    this.screen.write(this.#moveTo(this.#height - 1) + "\r\n");
  }

  #draw(from: number): void {
    const rows = this.#text.rows.slice(from);
    this.screen.write(
      rows.map((row, r) => this.#moveTo(this.#top + from + r) + this.#cell(row)).join(""),
    );
  }

  // Erased first: after a full row the cursor still stands on its last character.
  #cell(text: string): string {
    if (this.#side === "base") return `\r${ERASE_RIGHT}${text}${this.#separator()}`;
    return `${toColumn(this.#width + 4)}${ERASE_RIGHT}${text}`;
  }

  #separator(): string {
    return `${toColumn(this.#width + 2)}${SEPARATOR}`;
  }

  /** To a row of the block; rows that it has not got yet are added, with nothing in their cells. */
  #moveTo(row: number): string {
    const reached = Math.min(row, Math.max(0, this.#height - 1));
    let moves = up(this.#row - reached) + down(reached - this.#row);
    for (; this.#height <= row; this.#height++) {
      moves += (this.#height > 0 ? "\r\n" : "") + this.#separator();
    }
    this.#row = row;
    return moves;
  }
}

/** The names above two columns, and a rule. */
export function columnTitles({ base, finetuned }: Names, columns: number): string {
  const width = columnWidth(columns);
  const title = (name: string) => truncate(visible(name), width);
  const rule = "─".repeat(width + 1);
  return `${columnLine(title(base), title(finetuned), width)}\n${rule}┼${rule}`;
}

/** Two whole texts side by side, for what is not a terminal. */
export function columnLines(base: string, finetuned: string, columns: number): string {
  const width = columnWidth(columns);
  const [left, right] = [base, finetuned].map((text) => {
    const cell = new CellText(width);
    cell.push(text);
    return cell.rows;
  });
  const height = Math.max(left.length, right.length);
  return Array.from({ length: height }, (_, r) => columnLine(left[r] ?? "", right[r] ?? "", width))
    .join("\n");
}

function columnLine(left: string, right: string, width: number): string {
  const padding = " ".repeat(Math.max(0, width - displayWidth(left)));
  return `${left}${padding} ${SEPARATOR} ${right}`.trimEnd();
}
