/** What runs together: prompts that are shared, and parts of them in one pass. */

import { editsOf } from "../edits.ts";
import type { Edit } from "../hooks.ts";

/** Sequences with one prompt and one strength of every edit: the prompt is run once for all of them. */
export interface PromptGroup {
  prompt: ArrayLike<number>;
  /** Places in the request. */
  sequences: number[];
}

/** The groups of the listed sequences, in the order of their first members. */
export function groupPrompts(
  prompts: readonly ArrayLike<number>[],
  edits: readonly Edit[],
  sequences: readonly number[],
): PromptGroup[] {
  const groups = new Map<string, PromptGroup>();
  for (const s of sequences) {
    const scales = editsOf(edits, [s]).map(({ scale }) => scale);
    const key = `${Array.prototype.join.call(prompts[s])};${scales.join(";")}`;
    const group = groups.get(key);
    if (group) group.sequences.push(s);
    else groups.set(key, { prompt: prompts[s], sequences: [s] });
  }
  return [...groups.values()];
}

/** Rows of keys that these groups need: their prompts, and of each sequence what is fed back after the prompt. */
export function keysOf(groups: readonly PromptGroup[], limits: readonly number[]): number {
  return groups.reduce(
    (sum, { prompt, sequences }) =>
      sum + prompt.length + sequences.reduce((own, s) => own + limits[s] - 1, 0),
    0,
  );
}

/** Part of a prompt in a pass: tokens `from` up to but not including `to`. */
export interface Piece<P> {
  prompt: P;
  from: number;
  to: number;
}

/** What of these prompts comes next, in their order: at most `most` tokens. */
export function nextPieces<P extends { readonly length: number; readonly done: number }>(
  prompts: Iterable<P>,
  most: number,
): Piece<P>[] {
  const pieces: Piece<P>[] = [];
  let room = most;
  for (const prompt of prompts) {
    if (room === 0) break;
    const from = prompt.done;
    const to = Math.min(prompt.length, from + room);
    pieces.push({ prompt, from, to });
    room -= to - from;
  }
  return pieces;
}
