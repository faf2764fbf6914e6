/** From the residual stream to the vocabulary: the last two steps of a forward pass, and the logit lens. */

import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
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

/** Logits `[rows, vocab]` of normalised rows `[rows, hidden]`. */
export function logits(
  { spec, weights }: Transformer,
  recorder: Recorder,
  normed: DeviceTensor,
): DeviceTensor {
  const rows = normed.shape[0];
  const out = recorder.gpu.tensor([rows, spec.vocabSize]);
  matmul(recorder, { x: normed.buffer, weight: weights.head.weight, y: out.buffer, rows });
  return out;
}
