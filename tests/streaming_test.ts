/** A model whose weights are brought layer by layer computes what a resident one does, to the last bit. */

import { assert, assertEquals } from "@std/assert";
import { generate } from "../engine/generation/generate.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { unembeddingRows } from "../engine/head.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
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
} from "./helpers.ts";

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
