/**
 * The mean of a model's logits over all positions of some texts, on the device and in bounded memory.
 *
 * Logits are linear in the normalised residual unless they are softcapped: then the mean of the logits is the unembedding of the
 * mean, and only rows of the hidden size are summed. Softcapped ones are made in chunks of rows and summed one by one. The sums
 * are compensated and go row after row, so that the size of the batches changes no bit.
 */

import { batchSize, tokensPerBatch } from "./batch_room.ts";
import { UsageError } from "./errors.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { unembed } from "./head.ts";
import { accumulate } from "./ops/accumulate.ts";
import { softcap } from "./ops/rows.ts";
import { gatherRows, rowsOfLogits } from "./token_loss.ts";
import type { Transformer } from "./transformer.ts";

const NORMED = "ln_final.hook_normalized";

/** Options of {@link meanLogits}. */
export interface MeanLogitsOptions {
  /** Called after each batch with the number of sequences that are done. */
  progress?: (done: number) => void;
  /** Ends the work between two batches. */
  signal?: AbortSignal;
}

/**
 * The mean logits `[vocab]` over every position of every sequence, each position with the same weight.
 *
 * @throws {UsageError} if there are no sequences, for an empty one, or an unknown token
 */
export async function meanLogits(
  model: Transformer,
  sequences: readonly ArrayLike<number>[],
  { progress, signal }: MeanLogitsOptions = {},
): Promise<Float32Array<ArrayBuffer>> {
  const rows = sequences.reduce((sum, { length }) => sum + length, 0);
  if (rows === 0) throw new UsageError("Cannot take mean logits: there are no texts");
  const { gpu, spec } = model;
  const width = spec.finalSoftcap === null ? spec.hiddenSize : spec.vocabSize;
  const state = gpu.tensorFrom(new Float32Array(2 * width), [1, width, 2]);
  try {
    for (let done = 0; done < sequences.length;) {
      signal?.throwIfAborted();
      const count = batchSize(sequences, done, tokensPerBatch(gpu, model));
      await addBatch(model, sequences.slice(done, done + count), state);
      done += count;
      progress?.(done);
    }
    const sums = await state.read();
    const mean = Float32Array.from(
      { length: width },
      (_, i) => (sums[2 * i] + sums[2 * i + 1]) / rows,
    );
    return spec.finalSoftcap === null ? await unembedded(model, mean) : mean;
  } finally {
    state.release();
  }
}

async function addBatch(
  model: Transformer,
  sequences: readonly ArrayLike<number>[],
  state: DeviceTensor,
): Promise<void> {
  const { gpu, spec } = model;
  const recorder = gpu.record();
  const captured = model.record(recorder, model.batch(sequences), { capture: [NORMED] });
  try {
    const normed = captured.get(NORMED);
    if (spec.finalSoftcap === null) addRows(recorder, normed, state);
    else addLogits(model, recorder, normed, { state, cap: spec.finalSoftcap });
    await recorder.submit();
    await gpu.finish();
  } finally {
    captured.release();
    recorder.close();
  }
}

function addRows(recorder: Recorder, x: DeviceTensor, state: DeviceTensor): void {
  const [documents, width] = x.shape;
  accumulate(recorder, { x, state, documents, positions: 1, width });
}

function addLogits(
  model: Transformer,
  recorder: Recorder,
  normed: DeviceTensor,
  { state, cap }: { state: DeviceTensor; cap: number },
): void {
  const all = Array.from({ length: normed.shape[0] }, (_, row) => row);
  const most = rowsOfLogits(model);
  for (let first = 0; first < all.length; first += most) {
    const x = gatherRows(recorder, normed, all.slice(first, first + most));
    const logits = unembed(model, recorder, x);
    x.release();
    softcap(recorder, logits.buffer, logits.length, cap);
    addRows(recorder, logits, state);
    logits.release();
  }
}

async function unembedded(
  model: Transformer,
  mean: Float32Array<ArrayBuffer>,
): Promise<Float32Array<ArrayBuffer>> {
  const { gpu } = model;
  const recorder = gpu.record();
  const x = gpu.tensorFrom(mean, [1, mean.length]);
  const logits = unembed(model, recorder, x);
  try {
    await recorder.submit();
    return await logits.read();
  } finally {
    logits.release();
    x.release();
    recorder.close();
  }
}
