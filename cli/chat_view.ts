/** What a user sees of a chat, on a terminal or elsewhere. */

import type { AnswerView, Names, Screen, Side } from "./answer_view.ts";
import { StackedAnswers } from "./stacked_answers.ts";
import { columnLines, columnTitles, TwoColumns } from "./two_columns.ts";
import { visible } from "./visible.ts";

/** One answer: the new tokens and their text. */
export interface Answer {
  ids: number[];
  text: string;
}

/** A question and both answers. */
export type Turn = { prompt: string } & Record<Side, Answer>;

/** Shows a chat, turn by turn. */
export interface ChatView {
  /** A question is going to be answered. */
  ask(question: string): void;
  /** The answer of a side begins, and has more text. */
  begin(side: Side): void;
  push(text: string): void;
  /** The turn is over: with both answers, or by an error. */
  end(turn?: Turn): void;
}

/** What decides how a chat is shown. */
export interface ChatViewOptions {
  names: Names;
  json: boolean;
  /** Whether the questions are there to see already. */
  questionsSeen: boolean;
}

/** Below this, columns would be too narrow to read. */
const LEAST_COLUMNS = 60;

const FILE_COLUMNS = 80;

/** A view on standard output. */
export function chatView(options: ChatViewOptions): ChatView {
  if (options.json) return jsonView(writeOut);
  return Deno.stdout.isTerminal()
    ? new LiveView(options, () => ({ ...terminalSize(), write: writeOut }))
    : new FileView(options, writeOut);
}

/** Answers appear as they come. */
export class LiveView implements ChatView {
  #answers: AnswerView | undefined;
  #titleColumns = 0;

  /** @param screen the terminal as it is now: it may be resized between two turns */
  constructor(
    private readonly options: ChatViewOptions,
    private readonly screen: () => Screen,
  ) {}

  ask(question: string): void {
    const { names, questionsSeen } = this.options;
    const screen = this.screen();
    const { columns } = screen;
    if (!questionsSeen) screen.write(`> ${visible(question)}\r\n`);
    if (columns < LEAST_COLUMNS) {
      this.#answers = new StackedAnswers(screen, names);
      return;
    }
    if (columns !== this.#titleColumns) {
      screen.write(columnTitles(names, columns).replaceAll("\n", "\r\n") + "\r\n");
    }
    this.#titleColumns = columns;
    this.#answers = new TwoColumns(screen);
  }

  begin(side: Side): void {
    this.#answers?.begin(side);
  }

  push(text: string): void {
    this.#answers?.push(text);
  }

  end(): void {
    this.#answers?.end();
    this.screen().write("\r\n");
  }
}

/** Turns appear when they are complete. */
export class FileView implements ChatView {
  #titled = false;
  #texts: string[] = [];

  constructor(
    private readonly options: ChatViewOptions,
    private readonly write: (text: string) => void,
  ) {}

  ask(): void {
    this.#texts = [];
  }

  begin(): void {
    this.#texts.push("");
  }

  push(text: string): void {
    this.#texts[this.#texts.length - 1] += text;
  }

  end(turn?: Turn): void {
    if (!turn) return;
    const { names, questionsSeen } = this.options;
    if (!this.#titled) this.write(columnTitles(names, FILE_COLUMNS) + "\n");
    this.#titled = true;
    if (!questionsSeen) this.write(`> ${visible(turn.prompt)}\n`);
    const [base, finetuned] = this.#texts;
    this.write(columnLines(base, finetuned, FILE_COLUMNS) + "\n\n");
  }
}

function jsonView(write: (text: string) => void): ChatView {
  return {
    ask() {},
    begin() {},
    push() {},
    end: (turn) => turn && write(JSON.stringify(turn) + "\n"),
  };
}

/** Some terminals do not tell their size, or say that it is 0. */
function terminalSize(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    if (columns > 0 && rows > 0) return { columns, rows };
  } catch {
    // As if it were 0.
  }
  return { columns: FILE_COLUMNS, rows: 24 };
}

function writeOut(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}
