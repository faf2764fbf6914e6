/** What a model takes on the device, and whether there is room for it. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import type { Checkpoint } from "../engine/weights/checkpoint.ts";

/** Device memory, in bytes, that must stay free for activations beside the models: a pass of this many tokens … */
const WORKING_TOKENS = 512;
/** … and logits of this many. */
const WORKING_LOGITS = 64;

/** The share of a machine's free memory that a model may take, where the device's memory is the machine's. */
const MEMORY_SHARE = 0.8;

/** What a pass needs beside the weights. */
export function workingBytes(spec: ModelSpec): number {
  const { hiddenSize, intermediateSize, heads, headDim, vocabSize } = spec;
  const perToken = 4 * hiddenSize + 3 * intermediateSize + 3 * heads * headDim;
  return 4 * (WORKING_TOKENS * perToken + WORKING_LOGITS * vocabSize);
}

/** How {@link weightBytes} counts. */
export interface WeightBytesOptions {
  /** Whether everything is kept as f32 (default: as it is stored). */
  widened?: boolean;
}

/**
 * What a checkpoint's tensors take, as the headers say, or as f32; those that the engine leaves aside do not count.
 */
export function weightBytes(
  checkpoint: Checkpoint,
  { tensors }: ModelSpec,
  { widened = false }: WeightBytesOptions = {},
): number {
  const aside = tensors.ignored ?? [];
  let bytes = 0;
  for (const name of checkpoint.names()) {
    if (aside.some((prefix) => name.startsWith(`${prefix}.`))) continue;
    const { begin, end, shape } = checkpoint.info(name);
    const stored = widened ? 4 * shape.reduce((product, size) => product * size, 1) : end - begin;
    bytes += stored;
  }
  return bytes;
}

/**
 * Bytes that weights may still take. An adapter does not tell how much it has; where its memory is the machine's it is known, and
 * going over it would end the process.
 */
export function roomForWeights({ adapter, buffers, profile }: Gpu): number {
  if (profile === "discrete" && !adapter.software) return buffers.unusedBytes;
  return Math.min(buffers.unusedBytes, MEMORY_SHARE * Deno.systemMemoryInfo().available);
}
