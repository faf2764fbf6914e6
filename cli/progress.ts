/** Shows on standard error how far the work has come: a bar on a terminal, plain lines elsewhere. */

import { Format, Presets, SingleBar } from "cli-progress";
import { visible } from "./visible.ts";

/** A piece of work that is being shown. */
export interface Progress {
  /** `done` of the total are finished; `note` is a word on what is next. */
  update(done: number, note?: string): void;
  /** Ends the bar, or prints the last line. Further calls do nothing. */
  done(): void;
}

/** What {@link startProgress} is told. */
export interface ProgressOptions {
  /** What is done: `Reading documents`. */
  label: string;
  total: number;
  /** The plural of what is counted: `documents`. */
  unit: string;
  /** How many an earlier, interrupted run did: they tell nothing of the pace of this one. */
  begun?: number;
  /** Shows nothing. */
  quiet?: boolean;
}

/** Where plain lines go and what time it is; a test brings its own. */
export interface PlainOutput {
  writeLine(line: string): void;
  /** Milliseconds since any fixed moment. */
  now(): number;
}

/** Tenths that come faster are not worth a line. */
const SHORTEST_INTERVAL_MS = 300;
const FIRST_INTERVAL_MS = 2_000;
const LONGEST_INTERVAL_MS = 60_000;

const standardError: PlainOutput = {
  writeLine: (line) => console.error(line),
  now: () => performance.now(),
};

/** `75` → `1m15s`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m${String(whole % 60).padStart(2, "0")}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}

/** Three digits at the most, and never an exponent. */
function formatRate(perSecond: number): string {
  return perSecond >= 10 ? String(Math.round(perSecond)) : perSecond.toPrecision(2);
}

/** `123 documents/s, 8s left`, or nothing before there is anything to tell it from. */
function pace(
  done: number,
  { total, unit, begun = 0 }: ProgressOptions,
  elapsedMs: number,
): string {
  if (done <= begun || elapsedMs < 1) return "";
  const rate = (done - begun) / (elapsedMs / 1000);
  const left = Math.max(0, total - done) / rate;
  return `${formatRate(rate)} ${unit}/s, ${formatSeconds(left)} left`;
}

/**
 * Lines for logs: the first at once, then one at every new tenth, unless they come faster than can be read, and between those
 * one after 2 s, 4 s, 8 s … a minute, so that work of seconds and of hours both leave a log that can be read.
 */
export function plainProgress(
  options: ProgressOptions,
  output: PlainOutput = standardError,
): Progress {
  const { label, total, unit, begun = 0 } = options;
  const start = output.now();
  let last = start;
  let interval = FIRST_INTERVAL_MS;
  let tenth = total > 0 ? Math.floor(10 * begun / total) : 0;
  let finished = false;
  let reached = begun;
  const line = (done: number, rest: string) =>
    output.writeLine(`${label}: ${done}/${total} ${unit}${rest ? `, ${rest}` : ""}`);
  line(begun, "");
  return {
    update(done, note) {
      if (finished) return;
      reached = done;
      const now = output.now();
      const reachedTenth = total > 0 ? Math.floor(10 * done / total) : 0;
      const waited = now - last >= interval;
      const tenthDue = reachedTenth > tenth && now - last >= SHORTEST_INTERVAL_MS;
      if (done >= total || (!tenthDue && !waited)) return;
      if (waited) interval = Math.min(2 * interval, LONGEST_INTERVAL_MS);
      tenth = Math.max(tenth, reachedTenth);
      last = now;
      line(
        done,
        [pace(done, options, now - start), visible(note ?? "")].filter(Boolean).join(", "),
      );
    },
    done() {
      if (finished) return;
      finished = true;
      line(reached, `took ${formatSeconds((output.now() - start) / 1000)}`);
    },
  };
}

function barProgress(options: ProgressOptions): Progress {
  const { label, total, unit, begun = 0 } = options;
  const start = performance.now();
  const bar = new SingleBar({
    // cli-progress' own {eta} is of the last ten updates and jumps.
    format: `${label} {bar} {value}/{total} ${unit}  {pace}`,
    barsize: 24,
    hideCursor: true,
    clearOnComplete: false,
    stopOnComplete: false,
    emptyOnZero: true,
    forceRedraw: false,
    formatBar: Format.BarFormat,
  }, Presets.shades_classic);
  bar.start(total, begun, { pace: "" });
  // An interrupted process must not leave the terminal without its cursor.
  const stop = () => bar.stop();
  globalThis.addEventListener("unload", stop);
  let finished = false;
  return {
    update(done, note) {
      if (finished) return;
      const parts = [pace(done, options, performance.now() - start), visible(note ?? "")];
      bar.update(done, { pace: parts.filter(Boolean).join(", ") });
    },
    done() {
      if (finished) return;
      finished = true;
      globalThis.removeEventListener("unload", stop);
      bar.stop();
    },
  };
}

/** Begins to show a piece of work. Standard output stays free for results. */
export function startProgress(options: ProgressOptions): Progress {
  if (options.quiet) return { update() {}, done() {} };
  return Deno.stderr.isTerminal() ? barProgress(options) : plainProgress(options);
}
