import { assert, assertEquals } from "@std/assert";
import { rankedRowsPerBatch } from "./batch_room.ts";
import type { Gpu } from "./gpu/gpu.ts";
import type { ModelSpec } from "./model_spec.ts";

const GIB = 1 << 30;

/** As of Qwen3-1.7B. */
const spec = {
  ...{ hiddenSize: 2048, intermediateSize: 6144, heads: 16, kvHeads: 8, headDim: 128 },
  ...{ layers: 28, vocabSize: 151_936 },
} as ModelSpec;

function rows(unusedBytes: number, stream: boolean, binding = 2 * GIB): number {
  const gpu = {
    limits: { maxStorageBufferBindingSize: binding },
    buffers: { unusedBytes },
  } as Gpu;
  const weights = { stream: stream ? { readMs: 0, destroy() {} } : undefined };
  return rankedRowsPerBatch(gpu, { spec, weights }, 3);
}

Deno.test("rows that are ranked at once: more where each batch has the unembedding read again", () => {
  const logits = 4 * spec.vocabSize;
  assertEquals(rows(Infinity, false), 3 * Math.floor((64 << 20) / logits / 3));
  assertEquals(rows(Infinity, true), 3 * Math.floor((512 << 20) / logits / 3));
  // A binding and the memory bound both.
  assertEquals(rows(Infinity, true, 128 << 20), 3 * Math.floor((128 << 20) / logits / 3));
  const few = rows(GIB, true);
  assert(few < rows(Infinity, true) && 2 * few * logits < GIB / 2, `${few} rows`);
  assertEquals(rows(1 << 20, true), 3, "one group always");
});
