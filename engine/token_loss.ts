/** How well a model predicts texts: the cross-entropy of every token given those before it. */

import type { Batch } from "./batch.ts";
import { batchSize, tokensPerBatch } from "./batch_room.ts";
import { editsOf } from "./edits.ts";
import { UsageError } from "./errors.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { unembed } from "./head.ts";
import type { Captured } from "./hook_points.ts";
import type { Capture, HookEdit, HookName } from "./hooks.ts";
import { copyRows, softcap } from "./ops/rows.ts";
import { tokenLossRows } from "./ops/token_loss.ts";
import type { Transformer } from "./transformer.ts";

const NORMED = "ln_final.hook_normalized";

/** The most memory for one set of logits. */
const LOGIT_BYTES = 256 * 2 ** 20;

/** Options of {@link tokenLosses}. */
export interface TokenLossOptions {
  /** Lists in them have one entry for each of the sequences. */
  edits?: readonly HookEdit[];
  /** Called after each batch with the number of sequences that are done. */
  progress?: (done: number) => void;
  /** Ends the work between two batches. */
  signal?: AbortSignal;
}

/**
 * The losses of each sequence, in nats: entry i is that of token i + 1 given tokens 0 to i, so a sequence of n tokens has
 * n − 1. They do not depend on the other sequences, bit by bit.
 *
 * @throws {UsageError} for an empty sequence, an unknown token, a sequence over the model's context, or an edit of the logits
 */
export async function tokenLosses(
  model: Transformer,
  sequences: readonly ArrayLike<number>[],
  { edits = [], progress, signal }: TokenLossOptions = {},
): Promise<Float32Array[]> {
  const losses: Float32Array[] = [];
  while (losses.length < sequences.length) {
    signal?.throwIfAborted();
    const first = losses.length;
    const count = batchSize(sequences, first, tokensPerBatch(model.gpu, model));
    const places = Array.from({ length: count }, (_, i) => first + i);
    const batch = model.batch(places.map((s) => sequences[s]));
    const { losses: tensor, captured } = await runTokenLosses(model, batch, {
      edits: editsOf(edits, places),
    });
    captured.release();
    losses.push(...await readTokenLosses(batch, tensor));
    progress?.(losses.length);
  }
  return losses;
}

/** What a pass for losses shall do besides. */
export interface TokenLossRequest {
  /** Kept on the way. */
  capture?: readonly (HookName | Capture)[];
  edits?: readonly HookEdit[];
  /**
   * Begin at a layer: sequence s takes its residuals from the rows of `resid` from `firstRows[s]` on, so that variants of one
   * text share them.
   */
  start?: { layer: number; resid: DeviceTensor; firstRows: readonly number[] };
}

/** Losses of one batch on the device, and what was captured. */
export interface TokenLossRun {
  /** Those of all sequences end to end; see {@link readTokenLosses}. */
  losses: DeviceTensor;
  captured: Captured;
}

/**
 * Runs one batch. The logits come in chunks of rows: the whole of them has no place where the vocabulary is large.
 *
 * @throws {UsageError} for an edit of the logits
 */
export async function runTokenLosses(
  model: Transformer,
  batch: Batch,
  request: TokenLossRequest = {},
): Promise<TokenLossRun> {
  const { gpu } = model;
  const { capture = [], edits, start } = request;
  if (edits?.some(({ hook }) => hook === "logits")) {
    throw new UsageError('Cannot edit at "logits" for losses: they are taken in parts');
  }
  const logitRows = rowsOfLogits(model);
  const recorder = gpu.record();
  const held: { release(): void }[] = [];
  const hold = <T extends { release(): void }>(one: T): T => (held.push(one), one);
  try {
    const resid = start &&
      hold(gatherRows(recorder, start.resid, startRows(batch, start.firstRows)));
    const captured = hold(model.record(recorder, batch, {
      capture: [...capture, NORMED],
      edits,
      start: start && { layer: start.layer, resid: resid! },
    }));
    resid?.release();
    const losses = hold(recordLosses(model, recorder, batch, captured.get(NORMED), logitRows));
    await recorder.submit();
    return { losses, captured };
  } catch (error) {
    for (const one of held) one.release(); // releasing twice does nothing
    throw error;
  } finally {
    recorder.close();
  }
}

/** Records the losses of all rows that have a next token, from normalised rows `[tokens, hidden]`. */
function recordLosses(
  model: Transformer,
  recorder: Recorder,
  batch: Batch,
  normed: DeviceTensor,
  logitRows: number,
): DeviceTensor {
  const { finalSoftcap } = model.spec;
  const rows = predictingRows(batch);
  const losses = model.gpu.tensor([rows.length]);
  for (let first = 0; first < rows.length; first += logitRows) {
    const chunk = rows.slice(first, first + logitRows);
    const x = gatherRows(recorder, normed, chunk);
    const logits = unembed(model, recorder, x);
    x.release();
    if (finalSoftcap !== null) softcap(recorder, logits.buffer, logits.length, finalSoftcap);
    const targets = recorder.upload(Uint32Array.from(chunk, (row) => batch.ids[row + 1]));
    tokenLossRows(recorder, { logits, targets, losses: losses.buffer, first });
    logits.release();
  }
  return losses;
}

/** Brings the losses of a batch back, one array a sequence, and gives their tensor back. */
export async function readTokenLosses(
  { offsets, starts }: Batch,
  tensor: DeviceTensor,
): Promise<Float32Array[]> {
  try {
    const all = await tensor.read();
    // Every sequence before has one loss fewer than it has tokens.
    return Array.from(starts, (_, s) => all.slice(offsets[s] - s, offsets[s + 1] - s - 1));
  } finally {
    tensor.release();
  }
}

/** How many rows of logits there are at once: what can be bound, and a quarter of the memory that is left. */
export function rowsOfLogits({ gpu, spec }: Transformer): number {
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits;
  const { unusedBytes } = gpu.buffers;
  const bytes = Math.min(maxBufferSize, maxStorageBufferBindingSize, LOGIT_BYTES, unusedBytes / 4);
  return Math.max(1, Math.floor(bytes / (4 * spec.vocabSize)));
}

/** The rows whose next token is known: all but the last of each sequence. */
function predictingRows({ offsets, starts }: Batch): number[] {
  return Array.from(starts, (_, s) => range(offsets[s], offsets[s + 1] - 1)).flat();
}

/** For each row of the batch the row of the residuals that it begins with. */
function startRows({ offsets }: Batch, firstRows: readonly number[]): number[] {
  return firstRows.flatMap((first, s) => range(first, first + offsets[s + 1] - offsets[s]));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** The listed rows of `x` `[·, width]` in a tensor of their own. */
export function gatherRows(
  recorder: Recorder,
  x: DeviceTensor,
  rows: readonly number[],
): DeviceTensor {
  const width = x.shape[1];
  const out = recorder.gpu.tensor([rows.length, width]);
  const pairs = recorder.upload(Uint32Array.from(rows.flatMap((row, i) => [row, i])));
  copyRows(recorder, { pairs, x: x.buffer, out: out.buffer, count: rows.length, width });
  return out;
}
