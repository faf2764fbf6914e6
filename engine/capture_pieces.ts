/**
 * The activations of sequences of any length, piece by piece: a long sequence goes through a cache of keys and values, and the
 * logits of all its positions, which may be larger than anything the device can hold, come in some rows at a time.
 */

import type { Batch } from "./batch.ts";
import { batchSize, tokensPerBatch } from "./batch_room.ts";
import { applyEdit, editsOf } from "./edits.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { unembed } from "./head.ts";
import { type Edit, type HookName, hookWidth } from "./hooks.ts";
import { KvCache } from "./kv_cache.ts";
import { softcap } from "./ops/rows.ts";
import { gatherRows, rowsOfLogits } from "./token_loss.ts";
import type { ForwardRequest, Transformer } from "./transformer.ts";

const NORMED = "ln_final.hook_normalized";

/** Tokens of a pass, at the most. */
const PASS_TOKENS = 1024;

/** Bytes that the captures of a pass may take on the device. */
const CAPTURE_BYTES = 2 ** 28;

/** Rows of one hook of one sequence. */
export interface CapturedRows {
  sequence: number;
  hook: HookName;
  /** Place in the sequence of the first. */
  firstRow: number;
  /** `[rows, width]`. */
  values: Float32Array;
}

/** Options of {@link capturePieces}. */
export interface CaptureOptions {
  hooks: readonly HookName[];
  /** A list of scales has one for each sequence. */
  edits?: readonly Edit[];
  /** Tokens of a pass (default: as many as there is room for). */
  passTokens?: number;
  /** Ends the work between two pieces. */
  signal?: AbortSignal;
}

/**
 * Captures hooks at all positions, and gives each row once: of a hook the sequences in order, and of a sequence its rows. How it
 * is cut does not change a bit.
 *
 * @throws {UsageError} for an edit or a sequence that does not fit the model
 */
export async function* capturePieces(
  model: Transformer,
  sequences: readonly (readonly number[])[],
  options: CaptureOptions,
): AsyncGenerator<CapturedRows> {
  const { hooks, edits = [], passTokens = tokensOfPass(model, hooks), signal } = options;
  for (let first = 0; first < sequences.length;) {
    signal?.throwIfAborted();
    const count = batchSize(sequences, first, passTokens);
    const some = sequences.slice(first, first + count);
    const own = editsOf(edits, some.map((_, s) => first + s));
    if (count === 1 && some[0].length > passTokens) {
      yield* captureLong(model, some[0], first, { hooks, edits: own, passTokens, signal });
    } else {
      const places = some.map((_, s) => ({ sequence: first + s, firstRow: 0 }));
      yield* capturePass(model, model.batch(some), places, { hooks, edits: own, signal });
    }
    first += count;
  }
}

function tokensOfPass(model: Transformer, hooks: readonly HookName[]): number {
  const { gpu, spec } = model;
  const kept = 4 * spec.hiddenSize * Math.max(1, hooks.length);
  const bytes = Math.min(CAPTURE_BYTES, gpu.buffers.unusedBytes / 4);
  const most = Math.min(PASS_TOKENS, tokensPerBatch(gpu, model), Math.floor(bytes / kept));
  return Math.max(1, most);
}

/** One sequence in several passes, each of which continues those before. */
async function* captureLong(
  model: Transformer,
  ids: readonly number[],
  sequence: number,
  { hooks, edits, passTokens, signal }: PassOptions & { passTokens: number },
): AsyncGenerator<CapturedRows> {
  // In a pass the end of the sequence is not the end of its tokens.
  const placed = edits.map((edit) => ({
    ...edit,
    positions: Array.isArray(edit.positions)
      ? edit.positions.map((p: number) => p < 0 ? ids.length + p : p)
      : edit.positions,
  }));
  const cache = new KvCache(model.gpu, model.spec, ids.length);
  try {
    for (let from = 0; from < ids.length; from += passTokens) {
      signal?.throwIfAborted();
      const placement = { prefixStart: 0, prefixLength: 0, ownStart: 0, ownLength: from };
      const batch = model.batch([ids.slice(from, from + passTokens)], [placement]);
      const places = [{ sequence, firstRow: from }];
      yield* capturePass(model, batch, places, { hooks, edits: placed, cache, signal });
    }
  } finally {
    cache.destroy();
  }
}

interface PassOptions extends CaptureOptions {
  edits: readonly Edit[];
  cache?: KvCache;
}

/** One pass; `places` says which rows of which sequence each sequence of the batch is. */
async function* capturePass(
  model: Transformer,
  batch: Batch,
  places: readonly { sequence: number; firstRow: number }[],
  { hooks, edits, cache, signal }: PassOptions,
): AsyncGenerator<CapturedRows> {
  const { gpu, spec } = model;
  const whole = hooks.filter((hook) => hook !== "logits");
  const withLogits = whole.length < hooks.length;
  const request: ForwardRequest = {
    cache,
    edits: edits.filter(({ hook }) => hook !== "logits"),
    capture: withLogits && !whole.includes(NORMED) ? [...whole, NORMED] : whole,
  };
  const captured = await model.forward(batch, request);
  try {
    const data = await gpu.read(whole.map((hook) => captured.get(hook)), signal);
    for (const [h, hook] of whole.entries()) {
      const at = { hook, first: 0, width: hookWidth(spec, hook) };
      yield* rowsOf(batch, places, at, new Float32Array(data[h]));
    }
    if (!withLogits) return;
    const normed = captured.get(NORMED);
    const most = rowsOfLogits(model);
    for (let first = 0; first < batch.tokens; first += most) {
      signal?.throwIfAborted();
      const rows = range(first, Math.min(first + most, batch.tokens));
      const values = await logitsOf(model, batch, normed, rows, edits);
      yield* rowsOf(batch, places, { hook: "logits", first, width: spec.vocabSize }, values);
    }
  } finally {
    captured.release();
  }
}

/** The logits of some rows of the batch, edited. */
async function logitsOf(
  model: Transformer,
  batch: Batch,
  normed: DeviceTensor,
  rows: readonly number[],
  edits: readonly Edit[],
): Promise<Float32Array> {
  const { gpu, spec } = model;
  const recorder = gpu.record();
  let logits: DeviceTensor | undefined;
  try {
    const x = gatherRows(recorder, normed, rows);
    logits = unembed(model, recorder, x);
    x.release();
    const { buffer, length } = logits;
    if (spec.finalSoftcap !== null) softcap(recorder, buffer, length, spec.finalSoftcap);
    for (const edit of edits) {
      if (edit.hook === "logits") applyEdit(recorder, spec, batch, edit, buffer, rows);
    }
    await recorder.submit();
    return await logits.read();
  } finally {
    recorder.close();
    logits?.release();
  }
}

/** Rows `[rows, width]` of a batch from row `first` on, cut where the sequences are. */
function* rowsOf(
  { offsets }: Batch,
  places: readonly { sequence: number; firstRow: number }[],
  { hook, first, width }: { hook: HookName; first: number; width: number },
  values: Float32Array,
): Generator<CapturedRows> {
  for (const [s, { sequence, firstRow }] of places.entries()) {
    const from = Math.max(offsets[s], first);
    const to = Math.min(offsets[s + 1], first + values.length / width);
    if (from >= to) continue;
    yield {
      sequence,
      hook,
      firstRow: firstRow + from - offsets[s],
      values: values.subarray((from - first) * width, (to - first) * width),
    };
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
