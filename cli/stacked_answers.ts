/** Two answers one below the other, for terminals that are too narrow for columns. */

import type { AnswerView, Names, Screen, Side } from "./answer_view.ts";
import { ERASE_RIGHT } from "./answer_view.ts";
import { CellText } from "./cell_text.ts";
import { truncate } from "./table.ts";
import { visible } from "./visible.ts";

/** Each answer under the name of who gives it. */
export class StackedAnswers implements AnswerView {
  #text: CellText;
  #begun = false;

  constructor(private readonly screen: Screen, private readonly names: Names) {
    this.#text = new CellText(screen.columns);
  }

  begin(side: Side): void {
    const { columns } = this.screen;
    const name = truncate(visible(this.names[side]), Math.max(1, columns - 6));
    this.screen.write(`${this.#begun ? "\r\n" : ""}── ${name} ──\r\n`);
    this.#begun = true;
    this.#text = new CellText(columns);
  }

  push(text: string): void {
    if (text === "") return;
    const changed = this.#text.rows.length - 1;
    this.#text.push(text);
    const rows = this.#text.rows.slice(changed);
    // Erased first: after a full row the cursor still stands on its last character.
    this.screen.write(rows.map((row) => `\r${ERASE_RIGHT}${row}`).join("\r\n"));
  }

  end(): void {
    this.screen.write("\r\n");
  }
}
