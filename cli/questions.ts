/** Where the questions of a chat come from: someone at a terminal, a pipe, or the command line. */

import process from "node:process";
import { createInterface } from "node:readline";
import { UsageError } from "../engine/errors.ts";
import { visible } from "./visible.ts";

/** A question; `end` when there are no more, `interrupt` when the user pressed Ctrl-C instead. */
export type Next = { question: string } | "end" | "interrupt";

/** Questions, one after another. */
export interface Questions {
  /** Whether the one who asks sees what was asked; else it is to be shown with the answers. */
  readonly seen: boolean;
  next(): Promise<Next>;
  /** Calls `run` at every Ctrl-C until it is disposed of. Other keys do nothing in the meantime. */
  onInterrupt?(run: () => void): Disposable;
}

const PROMPT = "> ";
const CTRL_C = "\x03";

/** A line longer than this is no question. */
const MAX_LINE = 1 << 20;

/**
 * Lines typed at a terminal, with editing and a history.
 *
 * @param json whether standard output is for results only
 */
export function typedQuestions(signal: AbortSignal, json: boolean): Questions {
  const output = json || !Deno.stdout.isTerminal() ? process.stderr : process.stdout;
  let history: string[] = [];
  // Of several lines that were pasted, those that are still to be asked, and what came after the last line break.
  const pasted: string[] = [];
  let unfinished = "";
  return {
    seen: output === process.stdout,
    next() {
      const line = pasted.shift();
      if (line !== undefined) {
        output.write(`${PROMPT}${visible(line)}\n`);
        return Promise.resolve({ question: line });
      }
      const lines = createInterface({
        input: process.stdin,
        output,
        terminal: true,
        prompt: PROMPT,
        history,
      });
      return new Promise((resolve) => {
        let next: Next = "end";
        const close = () => lines.close();
        signal.addEventListener("abort", close, { once: true });
        lines.on("history", (entered: string[]) => history = entered);
        lines.on("line", (question: string) => {
          if (typeof next === "object") pasted.push(question);
          else next = { question };
          // Not yet: there may be more of what was pasted.
          setTimeout(close);
        });
        lines.on("SIGINT", () => {
          next = "interrupt";
          close();
        });
        lines.on("close", () => {
          signal.removeEventListener("abort", close);
          unfinished = typeof next === "object" ? lines.line : "";
          // The cursor is still behind the prompt.
          if (typeof next === "string" || unfinished) output.write("\n");
          resolve(next);
        });
        lines.prompt();
        lines.write(unfinished);
      });
    },
    onInterrupt: watchKeys,
  };
}

/** Takes the keys, so that what is typed does not show up amid the answers. */
function watchKeys(run: () => void): Disposable {
  const { stdin } = process;
  const watch = (keys: Uint8Array | string) => {
    for (const key of keys.toString()) if (key === CTRL_C) run();
  };
  stdin.setRawMode(true);
  stdin.on("data", watch);
  stdin.resume();
  return {
    [Symbol.dispose]() {
      stdin.off("data", watch);
      stdin.pause();
      stdin.setRawMode(false);
    },
  };
}

/** The lines of standard input, without those that are blank. */
export function pipedQuestions(
  signal: AbortSignal,
  input: ReadableStream<Uint8Array<ArrayBuffer>> = Deno.stdin.readable,
): Questions {
  const lines = readLines(input, signal);
  return {
    seen: false,
    async next() {
      for (;;) {
        const { value, done } = await lines.next();
        if (done) return "end";
        if (value.trim() !== "") return { question: value };
      }
    },
  };
}

/** A single question. */
export function oneQuestion(question: string): Questions {
  const questions = [{ question }];
  return { seen: true, next: () => Promise.resolve(questions.pop() ?? "end") };
}

async function* readLines(
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  let rest = "";
  for await (const text of input.pipeThrough(new TextDecoderStream(), { signal })) {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop()!;
    if (rest.length > MAX_LINE) {
      throw new UsageError(
        `Cannot read a question from standard input: a line has over ${MAX_LINE} characters; ask one in each line`,
      );
    }
    yield* lines;
  }
  if (rest !== "") yield rest;
}
