/** From the residual stream to the vocabulary: the last two steps of a forward pass, and the logit lens. */

import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { embed } from "./ops/embedding.ts";
import { fewRows, takesFew } from "./ops/few_rows.ts";
import { manyRows } from "./ops/many_rows.ts";
import { matmul } from "./ops/matmul.ts";
import { rmsnorm } from "./ops/rows.ts";
import type { Transformer } from "./transformer.ts";
import type { WeightMatrix } from "./weights/matrix.ts";

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
  const { weight, lora, packed } = weights.head;
  const x = normed.buffer;
  if (packed && takesFew(recorder.gpu, rows)) {
    fewRows(recorder, { x, weight: packed, out: out.buffer, rows, form: "store" });
  } else if (
    !packed ||
    !manyRows(recorder, { x, weight: packed, rows, form: "store", products: [{ out: out.buffer }] })
  ) {
    for (const window of weight.windows) {
      if (window.stage) recorder.need(window.stage);
      matmul(recorder, { x, weight: { ...weight, windows: [window] }, y: out.buffer, rows });
    }
  }
  if (lora) {
    const low = recorder.gpu.tensor([rows, lora.a.rows]);
    matmul(recorder, { x, weight: lora.a, y: low.buffer, rows });
    const y = out.buffer;
    matmul(recorder, { x: low.buffer, weight: lora.b, y, rows, addScaled: lora.scale });
    low.release();
  }
  return out;
}

/**
 * Rows of a table: `out[t] = scale · table[ids[t]]`. Of a table that is not on the device, the rows are read from its file
 * where the host knows the ids; where only the device does, the whole table passes by.
 */
export function lookUp(
  recorder: Recorder,
  args: {
    ids: Uint32Array<ArrayBuffer> | GPUBuffer;
    table: WeightMatrix;
    out: GPUBuffer;
    tokens: number;
    scale: number;
  },
): void {
  const { ids, table } = args;
  const onHost = ids instanceof Uint32Array;
  if (table.gather && onHost) return gatherAndEmbed(recorder, { ...args, ids });
  const buffer = onHost ? recorder.upload(ids) : ids;
  for (const window of table.windows) {
    if (window.stage) recorder.need(window.stage);
    embed(recorder, { ...args, ids: buffer, table: { ...table, windows: [window] } });
  }
}

function gatherAndEmbed(
  recorder: Recorder,
  args: Parameters<typeof lookUp>[1] & { ids: Uint32Array<ArrayBuffer> },
): void {
  const { ids, table } = args;
  const { buffers } = recorder.gpu;
  const unique = Uint32Array.from(new Set(ids)).sort();
  const places = new Map(Array.from(unique, (id, place) => [id, place]));
  const buffer = buffers.acquire(unique.length * table.rowBytes);
  recorder.need({ bring: () => table.gather!(unique, buffer) });
  const rows = unique.length;
  embed(recorder, {
    ...args,
    ids: recorder.upload(ids.map((id) => places.get(id)!)),
    table: { ...table, rows, windows: [{ buffer, firstRow: 0, rows }] },
  });
  buffers.release(buffer);
}

/** Rows of the unembedding matrix for the given tokens, as f32: `[ids, hidden]`, back on the host. */
export async function unembeddingRows(
  { gpu, spec, weights }: Transformer,
  ids: readonly number[],
): Promise<Float32Array<ArrayBuffer>> {
  const recorder = gpu.record();
  const rows = gpu.tensor([ids.length, spec.hiddenSize]);
  try {
    const args = { table: weights.head.weight, out: rows.buffer, tokens: ids.length, scale: 1 };
    lookUp(recorder, { ids: Uint32Array.from(ids), ...args });
    await recorder.submit();
    return await rows.read();
  } finally {
    recorder.close();
    rows.release();
  }
}
