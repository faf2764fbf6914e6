/** Log-probabilities of a text's own tokens, and of the likeliest in their places. */

import { editsOf } from "./edits.ts";
import { UsageError } from "./errors.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { unembed } from "./head.ts";
import type { HookEdit } from "./hooks.ts";
import { recordLogprobs, type TokenLogprobs, unpackLogprobs } from "./ops/logprobs.ts";
import { softcap } from "./ops/rows.ts";
import type { Transformer } from "./transformer.ts";

const NORMED = "ln_final.hook_normalized";

/** The most memory for one set of logits. */
const LOGIT_BYTES = 64 * 2 ** 20;

/** What {@link promptLogprobs} is told. */
export interface PromptLogprobOptions {
  /** How many of the likeliest tokens are told. */
  top: number;
  /** Lists in them have one entry: there is one sequence. */
  edits?: readonly HookEdit[];
}

/**
 * Entry i is that of token i + 1 given tokens 0 to i: one entry fewer than there are tokens.
 *
 * @throws {UsageError} for an empty text, an unknown token, a text over the model's context, or an edit of the logits
 */
export async function promptLogprobs(
  model: Transformer,
  ids: readonly number[],
  { top, edits = [] }: PromptLogprobOptions,
): Promise<TokenLogprobs[]> {
  if (edits.some(({ hook }) => hook === "logits")) {
    throw new UsageError('Cannot edit at "logits" for the prompt\'s: they are taken in parts');
  }
  const { gpu } = model;
  const batch = model.batch([ids]);
  if (ids.length === 1) return [];
  const parts: DeviceTensor[] = [];
  const recorder = gpu.record();
  try {
    const captured = model.record(recorder, batch, {
      capture: [NORMED],
      edits: editsOf(edits, [0]),
    });
    const normed = captured.get(NORMED);
    const bytes = Math.min(gpu.limits.maxStorageBufferBindingSize, LOGIT_BYTES);
    const most = Math.max(1, Math.floor(bytes / (4 * model.spec.vocabSize)));
    for (let first = 0; first < ids.length - 1; first += most) {
      const next = Uint32Array.from(ids.slice(first + 1, first + 1 + most));
      parts.push(recordPart(model, recorder, { normed, first, next, top }));
    }
    captured.release();
    await recorder.submit();
    const data = await gpu.read(parts);
    return data.flatMap((part, i) => unpackLogprobs(part, 1, parts[i].shape[1], top)[0]);
  } finally {
    recorder.close();
    for (const part of parts) part.release();
  }
}

/** The log-probabilities `[1, rows, 1 + top, 2]` of the tokens that come next after the rows from `first` on. */
function recordPart(
  model: Transformer,
  recorder: Recorder,
  args: { normed: DeviceTensor; first: number; next: Uint32Array<ArrayBuffer>; top: number },
): DeviceTensor {
  const { gpu, spec: { hiddenSize, finalSoftcap } } = model;
  const { normed, first, next, top } = args;
  const rows = next.length;
  const x = gpu.tensor([rows, hiddenSize]);
  recorder.copy(normed.buffer, first * hiddenSize * 4, x.buffer, 0, rows * hiddenSize * 4);
  const logits = unembed(model, recorder, x);
  x.release();
  if (finalSoftcap !== null) softcap(recorder, logits.buffer, logits.length, finalSoftcap);
  const out = gpu.tensor([1, rows, 1 + top, 2]);
  recordLogprobs(recorder, {
    logits,
    ids: recorder.upload(next),
    places: recorder.upload(Uint32Array.from(next.keys())),
    top,
    out: out.buffer,
    step: 0,
  });
  logits.release();
  return out;
}
