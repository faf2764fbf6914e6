/** A pair that does not fit at once runs one model after the other. */

import { assert, assertEquals } from "@std/assert";
import type { MeansState } from "../../engine/activation_means.ts";
import { Gpu } from "../../engine/gpu/gpu.ts";
import { type DiffState, meanDifference } from "../../lens/diff.ts";
import { readLayer } from "../../lens/readout.ts";
import { loadTokenizer } from "../../models/load_model.ts";
import { ModelShelf } from "../../models/model_shelf.ts";
import { resolveSource } from "../../models/source.ts";

/** Room for one of the embedded models and its activations, not for two. */
const BUDGET = 16 << 20;

Deno.test("one model after the other gives the bits of both side by side, also when interrupted", async () => {
  const documents = Array.from(
    { length: 24 },
    (_, d) => Array.from({ length: 8 }, (_, j) => (5 + 37 * d + 11 * j) % 2000),
  );
  const layers = [1, 3];
  const run = async (memoryBudget?: number, stopAfter = Infinity, resume?: DiffState) => {
    using gpu = await Gpu.open({ memoryBudget, limits: { maxStorageBufferBindingSize: 1 << 20 } });
    using shelf = new ModelShelf(gpu);
    await shelf.add("base", await resolveSource("embedded:base"));
    await shelf.add("finetuned", await resolveSource("embedded:cake_bake_full"), "base");
    const models = shelf.pair("base", "finetuned");
    assertEquals(models.together, memoryBudget === undefined);
    const controller = new AbortController();
    let kept: DiffState | undefined;
    const reports: number[] = [];
    const means = await meanDifference(gpu, {
      models,
      // Long enough for a few batches.
      documents: documents.map((document) => Array.from({ length: 40 }, (_, i) => document[i % 8])),
      layers,
      resume,
      signal: controller.signal,
      progress: (done) => {
        reports.push(done);
        if (reports.length === stopAfter) controller.abort();
      },
      checkpoint: (state) => Promise.resolve(void (kept = state)),
    }).catch(() => undefined);
    return { means, kept, reports };
  };
  const together = await run();
  const apart = await run(BUDGET);
  assertEquals(apart.means, together.means);
  assertEquals([together.reports.at(-1), apart.reports.at(-1)], [24, 48]);

  // Interrupted after the second model's first batch, and resumed the other way.
  const second = apart.reports.findIndex((done) => done > 24);
  const { means, kept } = await run(BUDGET, second + 1);
  assertEquals(means, undefined);
  const done = (sums: MeansState[]) => sums.map(({ documents }) => documents);
  assertEquals(done(kept!.base), [24, 24]);
  assert(kept!.finetuned[0].documents < 24 && kept!.finetuned[0].documents > 0);
  assertEquals((await run(undefined, Infinity, kept)).means, together.means);
});

Deno.test("both lenses read the same in whatever memory there is", async () => {
  const hidden = 192;
  const vectors = (shift: number) =>
    Float32Array.from({ length: 2 * hidden }, (_, i) => Math.sin(i * (1 + shift) + shift));
  const norms = new Float32Array(2).fill(40);
  const means = { delta: vectors(1), base: vectors(2), finetuned: vectors(3) };
  const run = async (memoryBudget?: number) => {
    using gpu = await Gpu.open({ memoryBudget });
    using shelf = new ModelShelf(gpu);
    const base = await resolveSource("embedded:base");
    await shelf.add("base", base);
    await shelf.add("finetuned", await resolveSource("embedded:cake_bake_full"), "base");
    const reports: number[] = [];
    const readout = await readLayer({
      models: shelf.pair("base", "finetuned"),
      tokenizer: await loadTokenizer(base, shelf.spec("base")),
      layer: 2,
      means: { documents: 3, ...means, baseNorm: norms, finetunedNorm: norms },
      positions: [1],
      seed: 0,
      progress: (done) => reports.push(done),
    });
    assert(gpu.buffers.peakBytes <= (memoryBudget ?? Infinity));
    return { readout, groups: reports.length };
  };
  const whole = await run();
  for (const budget of [BUDGET, 21 << 20]) {
    const parts = await run(budget);
    assertEquals(parts.readout, whole.readout);
    assert(parts.groups > whole.groups, `${parts.groups} groups in ${budget} bytes`);
  }
});
