/** What runs together: prompts that are shared, sequences that fit at once, and tokens a pass. */

import { editsOf } from "../edits.ts";
import { OutOfMemoryError } from "../errors.ts";
import type { Edit } from "../hooks.ts";
import type { Room } from "./room.ts";

/** Sequences with one prompt and one strength of every edit: the prompt is run once for all of them. */
export interface PromptGroup {
  prompt: ArrayLike<number>;
  /** Places in the request. */
  sequences: number[];
}

/** Part of a group's prompt in a pass: tokens `from` up to but not including `to`. */
export interface Piece {
  /** Place among the groups of the wave. */
  group: number;
  from: number;
  to: number;
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

/** Rows of keys that a wave needs: its prompts, and of each sequence what is fed back after the prompt. */
export function keysOf(wave: readonly PromptGroup[], limits: readonly number[]): number {
  return wave.reduce(
    (sum, { prompt, sequences }) =>
      sum + prompt.length + sequences.reduce((own, s) => own + limits[s] - 1, 0),
    0,
  );
}

/**
 * Splits groups into waves, each of which there is room for; a group that is cut is run again in its next wave.
 *
 * @param limits by sequence of the request: how many tokens it may get, at least 1
 * @throws {OutOfMemoryError} when one sequence alone needs more room than there is.
 */
export function planWaves(
  groups: readonly PromptGroup[],
  limits: readonly number[],
  room: Pick<Room, "keys" | "sequences">,
): PromptGroup[][] {
  const waves: PromptGroup[][] = [];
  let keys = Infinity;
  let count = 0;
  for (const { prompt, sequences } of groups) {
    let open = false; // whether this group is in the last wave
    for (const s of sequences) {
      const own = limits[s] - 1;
      if (prompt.length + own > room.keys) {
        throw new OutOfMemoryError(
          `Cannot generate ${
            limits[s]
          } tokens after a prompt of ${prompt.length}: there is memory for the keys and ` +
            `values of ${room.keys} tokens; ask for fewer, or raise the memory budget`,
        );
      }
      const added = own + (open ? 0 : prompt.length);
      if (keys + added > room.keys || count + 1 > room.sequences) {
        waves.push([]);
        [keys, count, open] = [0, 0, false];
      }
      const wave = waves[waves.length - 1];
      if (!open) wave.push({ prompt, sequences: [] });
      wave[wave.length - 1].sequences.push(s);
      keys += own + (open ? 0 : prompt.length);
      count++;
      open = true;
    }
  }
  return waves;
}

/** Splits prompts of these lengths into passes of at most `most` tokens, in order. */
export function planPasses(lengths: readonly number[], most: number): Piece[][] {
  const passes: Piece[][] = [];
  let room = 0;
  lengths.forEach((length, group) => {
    for (let from = 0; from < length;) {
      if (room === 0) {
        passes.push([]);
        room = most;
      }
      const to = Math.min(length, from + room);
      passes[passes.length - 1].push({ group, from, to });
      room -= to - from;
      from = to;
    }
  });
  return passes;
}
