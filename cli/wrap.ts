/** Prose for terminals. */

import { displayWidth } from "./table.ts";

/** The widest that a line of prose is set. */
const MEASURE = 100;

/** Breaks text at spaces so that no line is wider than `width` cells, unless a single word is. */
export function wrap(text: string, width = terminalMeasure()): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && displayWidth(`${last} ${word}`) <= width) {
      lines[lines.length - 1] += ` ${word}`;
    } else lines.push(word);
  }
  return lines.join("\n");
}

function terminalMeasure(): number {
  try {
    return Math.min(MEASURE, Deno.consoleSize().columns);
  } catch {
    return MEASURE; // not a terminal
  }
}
