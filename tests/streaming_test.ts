/** A model whose weights are brought layer by layer computes what a resident one does, to the last bit. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { InterruptedError, OutOfMemoryError } from "../engine/errors.ts";
import { generate } from "../engine/generation/generate.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { unembeddingRows } from "../engine/head.ts";
import { meanDifference } from "../lens/diff.ts";
import { logitLens } from "../lens/logit_lens.ts";
import { patchscope } from "../lens/patchscope.ts";
import { sharedLayers } from "../engine/shared_layers.ts";
import { Transformer } from "../engine/transformer.ts";
import { WeightStream } from "../engine/weights/stage.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
import { loadedPair } from "../models/model_shelf.ts";
import { resolveSource } from "../models/source.ts";
import {
  assertSameBits,
  assertSameRun,
  FIXTURES,
  residPosts,
  type Run,
  run,
  sharedGpu,
  someTokens,
  someVector,
} from "./helpers.ts";
import { recorded } from "./hooks_helpers.ts";
import { assertSameSweep, openPair } from "./streamed_pairs.ts";

/** Architectures that differ in what a block holds: biases, norms, fused projections, two tables, shards; and adapters. */
const MODELS: { name: string; adapter?: string }[] = [
  { name: "llama3_untied", adapter: "lora" },
  { name: "qwen2_tied" },
  { name: "qwen3_untied" },
  { name: "gemma3_text" },
  { name: "olmo2" },
  { name: "phi3" },
];

async function open(gpu: Gpu, { name, adapter }: typeof MODELS[number], stream: boolean) {
  const base = await loadModel(gpu, await resolveSource(`${FIXTURES}/${name}`), { stream });
  const source = adapter && await resolveSource(`${FIXTURES}/${name}/${adapter}`);
  const model = source ? await loadFinetuned(gpu, base, source) : base;
  assertEquals(model.transformer.weights.stream !== undefined, stream);
  return { base: base.transformer, model: model.transformer };
}

Deno.test("every hook of streamed models has the bits of resident ones", async () => {
  const gpu = await sharedGpu();
  for (const which of MODELS) {
    const runs: Run[] = [];
    const rows: Float32Array[] = [];
    for (const stream of [false, true]) {
      const before = gpu.buffers.allocatedBytes - gpu.buffers.pooledBytes;
      const { base, model } = await open(gpu, which, stream);
      const texts = [someTokens(model, 9, 1), someTokens(model, 4, 2)];
      const capture = ["hook_embed", ...residPosts(model), "logits"];
      runs.push(await run(model, texts, { capture }));
      rows.push(await unembeddingRows(model, [3, 1, 40]));
      if (model !== base) {
        // The base uses the same slots, and must find its own weights in them again.
        runs.push(await run(base, texts, { capture }));
        model.destroy();
      }
      base.destroy();
      assertEquals(gpu.buffers.allocatedBytes - gpu.buffers.pooledBytes, before);
    }
    const half = runs.length / 2;
    for (let i = 0; i < half; i++) assertSameRun(runs[half + i], runs[i], which.name);
    assertSameBits(rows[1], rows[0], which.name);
  }
});

Deno.test("single tokens on streamed weights take no more dispatches on GPUs, and have the same bits", async () => {
  const software = await sharedGpu();
  using discrete = await Gpu.open({ profile: "discrete" });
  for (const which of MODELS) {
    const runs: Run[] = [];
    const dispatches: number[] = [];
    for (const [gpu, stream] of [[software, false], [discrete, false], [discrete, true]] as const) {
      const { base, model } = await open(gpu, which, stream);
      const capture = ["hook_embed", ...residPosts(model), "logits"];
      for (const one of new Set([base, model])) {
        // Two sequences of one token each: what a step of decoding is.
        runs.push(await run(one, [[3], [7]], { capture }));
        const request = { capture: residPosts(one) };
        dispatches.push(recorded(one, one.batch([[3], [7]]), request).dispatches);
      }
      for (const one of new Set([model, base])) one.destroy();
    }
    const each = runs.length / 3;
    for (let i = 0; i < each; i++) {
      assertSameRun(runs[each + i], runs[i], `${which.name}, on storage buffers`);
      assertSameRun(runs[2 * each + i], runs[i], `${which.name}, streamed`);
      assertEquals(dispatches[2 * each + i], dispatches[each + i], which.name);
    }
  }
});

Deno.test("what a sublayer leaves to the next product is done while its weights are there", async () => {
  for (const name of ["gemma2", "gemma3_text"]) {
    // Where nobody looks in between, the norm after a layer goes with the next one's first product.
    const request = { capture: ["logits"] };
    const { model } = await open(await sharedGpu(), { name }, false);
    const resident = await run(model, [[3], [7]], request);
    model.destroy();
    const slots = new Set<number>();
    for (const kib of [64, 96, 128, 192, 256, 384, 512, 1024]) {
      using gpu = await Gpu.open({ memoryBudget: kib << 10, profile: "software" });
      try {
        const { model } = await open(gpu, { name }, true);
        const [[first], [second]] = model.weights.blocks.map(({ stages }) => stages!);
        assertSameRun(await run(model, [[3], [7]], request), resident, `${name}, ${kib} KiB`);
        slots.add(first.sharesSlotWith(second) ? 1 : 2);
      } catch (error) {
        // Some are too small.
        if (!(error instanceof OutOfMemoryError)) throw error;
      }
    }
    assertEquals([...slots].sort(), [1, 2], name);
  }
});

Deno.test("a model that does not fit streams by itself, and stays within its budget", async () => {
  const budget = 5 << 20;
  using small = await Gpu.open({ memoryBudget: budget });
  const runs: Run[] = [];
  for (const gpu of [small, await sharedGpu()]) {
    const { transformer } = await loadModel(gpu, await resolveSource("embedded:base"));
    assertEquals(transformer.weights.stream !== undefined, gpu === small);
    const request = { capture: [...residPosts(transformer), "logits"] };
    runs.push(await run(transformer, [someTokens(transformer, 24, 1)], request));
    transformer.destroy();
  }
  assertSameRun(runs[0], runs[1], "embedded:base");
  assert(small.buffers.peakBytes <= budget);
});

Deno.test("generation on streamed weights", async () => {
  const gpu = await sharedGpu();
  const results = [];
  for (const stream of [true, false]) {
    const base = await loadModel(gpu, await resolveSource("embedded:base"), { stream });
    const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
    const prompts = [[1, 40, 300], [1, 77]];
    const sampling = { temperature: 1, seed: 3 };
    results.push(await generate(tuned.transformer, { prompts, maxNewTokens: 4, sampling }));
    tuned.transformer.destroy();
    base.transformer.destroy();
  }
  assertEquals(results[0], results[1]);
});

Deno.test("a diff layer by layer has the bits of one batch after the other", async () => {
  await assertSameSweep(
    `${FIXTURES}/llama3_untied`,
    `${FIXTURES}/llama3_untied/lora`,
    [0, 1],
  );
});

Deno.test("Patchscope and the logit lens on streamed weights", async () => {
  const results = [];
  for (const stream of [false, true]) {
    const { gpu, models } = await openPair("embedded:base", "embedded:cake_bake", stream);
    const model = await models.finetuned();
    const vectors = [1, 2].map((seed) => someVector(model.spec.hiddenSize, seed));
    const prompts = [[1, 40, 300], [1, 77], [9]];
    const run = { prompts, norm: 3, scales: [0.5, 1, 4] };
    results.push([
      await patchscope(model, vectors, { ...run, layer: 2 }),
      await patchscope(model, vectors, { ...run, layer: model.spec.layers - 1 }),
      await logitLens(model, vectors),
    ]);
    gpu.close();
  }
  assertEquals(results[1], results[0]);
});

Deno.test("Patchscope on streamed weights goes through the layers once for the prompts and once for all readings", async () => {
  const gpu = await sharedGpu();
  const source = await resolveSource("embedded:base");
  const { transformer: model } = await loadModel(gpu, source, { stream: true });
  const { layers, hiddenSize } = model.spec;
  const vectors = [1, 2].map((seed) => someVector(hiddenSize, seed));
  const { run: bring } = WeightStream.prototype;
  // The prompts' keys of the layers to come take their rows of the embedding and every layer. Then the readings go through the layers after
  // their own; of three the second is still there. At last the unembedding, which stays.
  const expected = [[0, 1 + layers + (layers - 1) + 1], [2, 1 + layers + 3 - 1], [layers - 1, 0]];
  for (const [layer, stages] of expected) {
    let brought = 0;
    const steps: number[] = [];
    WeightStream.prototype.run = function (transfers) {
      brought++;
      return bring.call(this, transfers);
    };
    try {
      await patchscope(model, vectors, {
        ...{ prompts: [[1, 40, 300], [1, 77]], norm: 3, layer },
        scales: (v) => Array.from({ length: v === 0 ? 8 : 4 }, (_, s) => s + 1),
        progress: (done, total) => steps.push(done / total),
      });
    } finally {
      WeightStream.prototype.run = bring;
    }
    const after = layers - 1 - layer;
    assertEquals(brought, stages, `layer ${layer}`);
    assertEquals(steps, Array.from({ length: after + 1 }, (_, i) => (i + 1) / (after + 1)));
  }
  model.destroy();
});

Deno.test("a pair computes once what lies before the first layer that the adapter changes", async () => {
  const gpu = await sharedGpu();
  const { transformer: base } = await loadModel(gpu, await resolveSource("embedded:base"));
  const whole = await loadFinetuned(
    gpu,
    { source: await resolveSource("embedded:base"), transformer: base },
    await resolveSource("embedded:cake_bake"),
  );
  const { blocks } = whole.transformer.weights;
  for (const first of [0, 2, 3, base.spec.layers]) {
    // As of an adapter that leaves the first layers as they are.
    const mixed = base.weights.blocks.map((block, i) => i < first ? block : blocks[i]);
    const tuned = new Transformer(gpu, base.spec, { ...base.weights, blocks: mixed, owned: [] });
    assertEquals(sharedLayers(base, tuned), first);
    const separate = new Transformer(gpu, base.spec, {
      ...tuned.weights,
      embedding: { ...base.weights.embedding },
    });
    assertEquals(sharedLayers(base, separate), undefined);
    const documents = [someTokens(base, 9, 1), someTokens(base, 12, 2)];
    for (const positions of [9, 4]) {
      const options = { documents, positions, layers: [1, 2] };
      const results = [];
      for (const finetuned of [tuned, separate]) {
        const models = loadedPair(base, finetuned);
        results.push(await meanDifference(gpu, { ...options, models }));
      }
      assertEquals(results[0], results[1], `${first}, ${positions} positions`);
    }
  }
  whole.transformer.destroy();
  base.destroy();
});

Deno.test("an abort ends the loading, and leaves nothing behind", async () => {
  using gpu = await Gpu.open();
  for (const stream of [false, true]) {
    const controller = new AbortController();
    const signal = controller.signal;
    const progress = () => controller.abort(new InterruptedError("enough"));
    if (stream) progress();
    const source = await resolveSource("embedded:base");
    await assertRejects(
      () => loadModel(gpu, source, { stream, signal, progress }),
      InterruptedError,
    );
    assertEquals(gpu.buffers.allocatedBytes - gpu.buffers.pooledBytes, 0);
  }
});
