/** From the residual stream to the vocabulary: the last two steps of a forward pass, and the logit lens. */

import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { embed } from "./ops/embedding.ts";
import { matmul } from "./ops/matmul.ts";
import { rmsnorm } from "./ops/rows.ts";
import type { Transformer } from "./transformer.ts";

/** The final norm of residual rows `[rows, hidden]`. */
export function finalNorm(
  { spec, weights }: Transformer,
  recorder: Recorder,
  resid: DeviceTensor,
): DeviceTensor {
  const [rows, width] = resid.shape;
  const out = recorder.gpu.tensor([rows, width]);
  const args = { x: resid.buffer, weight: weights.finalNorm, out: out.buffer, rows, width };
  rmsnorm(recorder, { ...args, eps: spec.normEps });
  return out;
}

/**
 * The unembedding `[rows, vocab]` of normalised rows `[rows, hidden]`. A model's logits are this, softcapped where its spec
 * says so; the logit lens reads it as it is.
 */
export function unembed(
  { spec, weights }: Transformer,
  recorder: Recorder,
  normed: DeviceTensor,
): DeviceTensor {
  const rows = normed.shape[0];
  const out = recorder.gpu.tensor([rows, spec.vocabSize]);
  const { weight, lora } = weights.head;
  const x = normed.buffer;
  matmul(recorder, { x, weight, y: out.buffer, rows });
  if (lora) {
    const low = recorder.gpu.tensor([rows, lora.a.rows]);
    matmul(recorder, { x, weight: lora.a, y: low.buffer, rows });
    const y = out.buffer;
    matmul(recorder, { x: low.buffer, weight: lora.b, y, rows, addScaled: lora.scale });
    low.release();
  }
  return out;
}

/** Rows of the unembedding matrix for the given tokens, as f32: `[ids, hidden]`, back on the host. */
export async function unembeddingRows(
  { gpu, spec, weights }: Transformer,
  ids: readonly number[],
): Promise<Float32Array<ArrayBuffer>> {
  const recorder = gpu.record();
  const rows = gpu.tensor([ids.length, spec.hiddenSize]);
  try {
    const buffer = recorder.upload(Uint32Array.from(ids));
    const table = weights.head.weight;
    embed(recorder, { ids: buffer, table, out: rows.buffer, tokens: ids.length, scale: 1 });
    await recorder.submit();
    return await rows.read();
  } finally {
    recorder.close();
    rows.release();
  }
}
