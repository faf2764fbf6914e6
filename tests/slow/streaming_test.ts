/** Sweeps of the embedded models, layer by layer. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { InterruptedError } from "../../engine/errors.ts";
import { type DiffState, meanDifference } from "../../lens/diff.ts";
import { assertSameSweep, openPair } from "../streamed_pairs.ts";

Deno.test("a diff layer by layer: layers that are shared, and two whole models", async () => {
  await assertSameSweep("embedded:base", "embedded:cake_bake", [1, 3]);
  await assertSameSweep("embedded:base", "embedded:cake_bake_full", [2]);
});

Deno.test("an interrupted sweep goes on from its beginning, and residuals may wait on the host", async () => {
  const documents = Array.from(
    { length: 150 },
    (_, d) => Array.from({ length: 32 }, (_, j) => (5 + 37 * d + 11 * j) % 2000),
  );
  const layers = [2];
  // The budget leaves room for little beside the weights: batches are small, and residuals do not stay.
  const { gpu, models } = await openPair("embedded:base", "embedded:cake_bake", true, 12 << 20);
  const controller = new AbortController();
  let kept: DiffState | undefined;
  const options = { models, documents, layers };
  const reports: number[] = [];
  await assertRejects(() =>
    meanDifference(gpu, {
      ...options,
      signal: controller.signal,
      progress: (done) => {
        reports.push(done);
        if (done > 60) controller.abort(new InterruptedError("enough"));
      },
      checkpoint: (state) => Promise.resolve(void (kept = state)),
    }), InterruptedError);
  const begun = kept!.base[0].documents;
  assert(begun > 0 && begun < reports.at(-1)!, `${begun} of ${reports}`);
  assertEquals(kept!.finetuned[0].documents, begun);
  const resumed = await meanDifference(gpu, { ...options, resume: kept });
  const { gpu: large, models: resident } = await openPair(
    "embedded:base",
    "embedded:cake_bake",
    false,
  );
  assertEquals(resumed, await meanDifference(large, { ...options, models: resident }));
  assert(gpu.buffers.peakBytes <= 12 << 20);
  gpu.close();
  large.close();
});
