/** Pairs of models whose weights are resident, or brought layer by layer: the same bits either way. */

import { assertEquals } from "@std/assert";
import { Gpu } from "../engine/gpu/gpu.ts";
import { meanDifference } from "../lens/diff.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
import { loadedPair } from "../models/model_shelf.ts";
import { resolveSource } from "../models/source.ts";

/** A pair of models, resident or streamed, on a device of its own. */
export async function openPair(
  base: string,
  finetuned: string,
  stream: boolean,
  memoryBudget?: number,
) {
  // Without a budget batches of some 60 tokens, so that there are several.
  const limits = memoryBudget === undefined ? { maxStorageBufferBindingSize: 128 << 10 } : {};
  const gpu = await Gpu.open({ memoryBudget, limits });
  const ours = await loadModel(gpu, await resolveSource(base), { stream });
  const theirs = await loadFinetuned(gpu, ours, await resolveSource(finetuned), { stream });
  return { gpu, models: loadedPair(ours.transformer, theirs.transformer) };
}

/** Compares two models on documents of several lengths, in batches and layer by layer. */
export async function assertSameSweep(
  base: string,
  finetuned: string,
  layers: number[],
): Promise<void> {
  const documents = Array.from(
    { length: 13 },
    (_, d) => Array.from({ length: 20 + d % 3 }, (_, j) => (5 + 37 * d + 11 * j) % 500),
  );
  const results = [];
  for (const stream of [false, true]) {
    const { gpu, models } = await openPair(base, finetuned, stream);
    const vocab = Math.min((await models.base()).spec.vocabSize, 500);
    const ids = documents.map((document) => document.map((id) => id % vocab));
    // All positions of documents of one length, and the last ones of documents of several.
    results.push([
      await meanDifference(gpu, { models, documents: ids.map((d) => d.slice(0, 20)), layers }),
      await meanDifference(gpu, { models, documents: ids, positions: 7, layers }),
    ]);
    gpu.close();
  }
  assertEquals(results[1], results[0], `${base} and ${finetuned}`);
}
