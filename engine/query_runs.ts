/** Which tokens of a batch follow one another in a sequence, and which rows of keys the batch sees: for attention. */

import { balanced } from "./balanced.ts";
import type { Batch } from "./batch.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { BLOCK_TOKENS, type QueryRuns } from "./ops/attention.ts";

/** Tokens from which on attention goes by runs: on software adapters fewer are as soon done one by one, without what it takes to fill the textures. */
const LEAST_TOKENS = 32;

/**
 * The runs of a batch with this token info, or `undefined` where going by single tokens is as good: in short batches, and
 * where the sequences bring a token or two each.
 */
export function queryRuns(
  recorder: Recorder,
  batch: Pick<Batch, "tokens" | "starts" | "offsets">,
  info: Uint32Array,
): QueryRuns | undefined {
  const { tuning } = recorder.gpu;
  const choice = tuning.choice("attention", batch.tokens) ??
    (batch.tokens < LEAST_TOKENS ? "tokens" : "blocks");
  if (choice === "tokens") return undefined;
  if (batch.tokens < 2 * batch.starts.length) return undefined;
  return allRuns(recorder, batch.offsets, info);
}

/** The runs of tokens that begin at these places. */
export function allRuns(recorder: Recorder, offsets: Uint32Array, info: Uint32Array): QueryRuns {
  const blocks = blocksOf(offsets);
  const { first, end } = rowsSeen(info);
  return {
    blocks: recorder.upload(Uint32Array.from(balanced(blocks).flat())),
    count: blocks.length,
    firstRow: first,
    rows: end - first,
  };
}

/** (First token, tokens) of blocks that hold no two sequences. */
function blocksOf(offsets: Uint32Array): [number, number][] {
  const blocks: [number, number][] = [];
  for (let s = 0; s + 1 < offsets.length; s++) {
    for (let token = offsets[s]; token < offsets[s + 1]; token += BLOCK_TOKENS) {
      blocks.push([token, Math.min(BLOCK_TOKENS, offsets[s + 1] - token)]);
    }
  }
  return blocks;
}

/** The rows of keys from the first to the last that a token sees, by the rule of attention.wgsl. */
function rowsSeen(info: Uint32Array): { first: number; end: number } {
  let [first, end] = [Infinity, 0];
  for (let i = 0; i < info.length; i += 4) {
    const [prefixStart, prefixLength, ownStart, position] = info.subarray(i, i + 4);
    if (prefixLength > 0) {
      first = Math.min(first, prefixStart);
      end = Math.max(end, prefixStart + Math.min(prefixLength, position + 1));
    }
    if (position >= prefixLength) {
      first = Math.min(first, ownStart);
      end = Math.max(end, ownStart + position - prefixLength + 1);
    }
  }
  return { first, end };
}

/**
 * Whether every sequence of the batch brings one token, and none sees a row of keys that another brings: attention may then write a
 * sequence's row and read it in one dispatch.
 */
export function oneTokenEach({ tokens, starts, info }: Batch): boolean {
  if (tokens !== starts.length) return false;
  const rowOf = (t: number) => info[4 * t + 2] + info[4 * t + 3] - info[4 * t + 1];
  const rows = Uint32Array.from({ length: tokens }, (_, t) => rowOf(t)).sort();
  const among = (first: number, end: number) => {
    const at = lowerBound(rows, first);
    return at < rows.length && rows[at] < end;
  };
  for (let t = 0; t < tokens; t++) {
    const prefixStart = info[4 * t];
    if (among(prefixStart, prefixStart + info[4 * t + 1])) return false;
    if (among(info[4 * t + 2], rowOf(t))) return false;
  }
  return rows.every((row, i) => i === 0 || row !== rows[i - 1]);
}

/** The place of the first of rising numbers that is not below `least`. */
function lowerBound(rising: Uint32Array, least: number): number {
  let [low, high] = [0, rising.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
