/** Runs a command: from its outcome, whatever it is, to a message and an exit code. */

import { InterruptedError, PalimpsestError, UsageError } from "../engine/errors.ts";
import { visibleLines } from "./visible.ts";

/** What a command is given. */
export interface CommandContext {
  /** Aborts when the user asks to stop; its reason is an {@link InterruptedError}. */
  signal: AbortSignal;
}

/** 128 plus the signal's number, as shells have it. */
const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** What is to be said of an error, and the exit code. */
export interface Outcome {
  code: number;
  /** For standard error; nothing is printed when it is empty. */
  message: string;
}

function trace(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const cause = error.cause === undefined ? "" : `\ncaused by ${describe(error.cause, true)}`;
  return `\n${error.stack ?? "no stack"}${cause}`;
}

function describe(error: unknown, debug: boolean): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text + (debug ? trace(error) : "");
}

/**
 * How a command that failed with `error` ends.
 *
 * Errors made by palimpsest are the user's to mend: their message, and 1 (2 for a wrong command line, 130 when interrupted). A
 * reader that has closed standard output has what it wanted: nothing, and 0. All else is a bug, and said to be one: 70
 * (`EX_SOFTWARE` of sysexits.h).
 */
export function outcome(error: unknown, debug: boolean): Outcome {
  if (error instanceof Deno.errors.BrokenPipe) return { code: 0, message: "" };
  if (error instanceof PalimpsestError) {
    const code = error instanceof InterruptedError ? 130 : error instanceof UsageError ? 2 : 1;
    return { code, message: `error: ${error.message}${debug ? trace(error) : ""}` };
  }
  const hint = debug ? "" : "\nThis is a bug in palimpsest; run the command again with --debug";
  return { code: 70, message: `error: ${describe(error, debug)}${hint}` };
}

function exitWith(error: unknown, debug: boolean, controller: AbortController): never {
  // fetch() and others reject with an AbortError of their own.
  const stopped = controller.signal.aborted && (error as Error | null)?.name === "AbortError";
  const { code, message } = outcome(stopped ? controller.signal.reason : error, debug);
  if (message) console.error(visibleLines(message));
  Deno.exit(code === 130 ? interruptedBy(controller) : code);
}

function interruptedBy(controller: AbortController): number {
  const reason = controller.signal.reason;
  return reason instanceof Interruption ? SIGNAL_CODES[reason.by] : SIGNAL_CODES.SIGINT;
}

class Interruption extends InterruptedError {
  constructor(readonly by: keyof typeof SIGNAL_CODES) {
    super(`Interrupted by ${by}: what was finished is kept`);
  }
}

/**
 * One Ctrl-C may arrive twice: from the terminal, and passed on by `deno task`, which had it too. Signals within this time
 * of the first are the same one.
 */
const SAME_SIGNAL_MS = 250;

/** The first signal asks the command to stop, the second ends the process at once. */
function listenToSignals(controller: AbortController): void {
  let asked = -Infinity;
  // Windows has no SIGTERM to listen to.
  const names = Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const;
  for (const name of names) {
    Deno.addSignalListener(name, () => {
      const now = performance.now();
      if (now - asked < SAME_SIGNAL_MS) return;
      if (controller.signal.aborted) Deno.exit(SIGNAL_CODES[name]);
      asked = now;
      const again = name === "SIGINT" ? " (Ctrl-C again: at once)" : "";
      console.error(`\nStopping after the current step${again}`);
      controller.abort(new Interruption(name));
    });
  }
}

/**
 * Runs `main` and ends the process with the code that it returns (0 if none), or by its error as {@link outcome} says.
 * Stack traces are shown only where the command line has `--debug`. An error that nobody awaited ends the process alike.
 */
export async function runCommand(
  main: (context: CommandContext) => Promise<number | void>,
): Promise<never> {
  const debug = Deno.args.includes("--debug");
  const controller = new AbortController();
  listenToSignals(controller);
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    exitWith(event.reason, debug, controller);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    exitWith(event.error, debug, controller);
  });
  let code: number;
  try {
    code = await main({ signal: controller.signal }) ?? 0;
  } catch (error) {
    exitWith(error, debug, controller);
  }
  Deno.exit(code);
}
