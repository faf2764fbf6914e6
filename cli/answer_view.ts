/** How two answers to one question are shown. */

/** Whose answer it is. */
export type Side = "base" | "finetuned";

/** What each side is called. */
export type Names = Readonly<Record<Side, string>>;

/** Shows two answers, the base's first. */
export interface AnswerView {
  /** The answer of a side begins. */
  begin(side: Side): void;
  /** More of that answer. */
  push(text: string): void;
  /** No more comes: the cursor goes to a line of its own. */
  end(): void;
}

/** A terminal. */
export interface Screen {
  columns: number;
  rows: number;
  write(text: string): void;
}

/** Erases from the cursor to the end of the line. */
export const ERASE_RIGHT = "\x1b[K";
