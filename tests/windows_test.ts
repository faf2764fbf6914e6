/** Weights over the adapter's binding size are cut by rows into windows, and nothing else changes. */

import { assertEquals } from "@std/assert";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { Edit } from "../engine/hooks.ts";
import type { Transformer } from "../engine/transformer.ts";
import { captured } from "./captured.ts";
import {
  assertSameBits,
  assertSameRun,
  fixtureAdapter,
  fixtureModel,
  residPosts,
  type Run,
  run,
  sharedGpu,
  someTokens,
  someVector,
} from "./helpers.ts";
import { embeddedBase } from "./invariance_suite.ts";

Deno.test("weights that are cut into windows give what whole ones give", async () => {
  const lora = async (model: Transformer) => await fixtureAdapter(model, "llama3_untied", "lora");
  const cases: {
    open: (gpu: Gpu) => Promise<Transformer>;
    limit: number;
    tokens: number;
    adapted?: (model: Transformer) => Promise<Transformer>;
  }[] = [
    { open: (gpu) => fixtureModel(gpu, "llama2_mha"), limit: 24 << 10, tokens: 6 },
    {
      open: (gpu) => fixtureModel(gpu, "llama3_untied"),
      limit: 24 << 10,
      tokens: 6,
      adapted: lora,
    },
    { open: embeddedBase, limit: 64 << 10, tokens: 24 },
  ];
  for (const { open, limit, tokens, adapted } of cases) {
    using small = await Gpu.open({ limits: { maxStorageBufferBindingSize: limit } });
    const runs: Run[] = [];
    for (const gpu of [small, await sharedGpu()]) {
      const base = await open(gpu);
      const { embedding, head, blocks } = base.weights;
      const up = blocks[0].linears["mlp.up_proj"].weight;
      const windows = [embedding, head.weight, up].map((matrix) => matrix.windows.length);
      // bf16 matrices of llama3_untied's blocks are under the limit, all others over it.
      const whole = gpu !== small;
      assertEquals(windows.map((n) => n > 1), [!whole, !whole, !whole && !adapted]);
      const model = adapted ? await adapted(base) : base;
      // Ids at both ends of the table, so that more than one of its windows is read.
      const text = [...someTokens(model, tokens - 2, 1), 0, model.spec.vocabSize - 1];
      const capture = ["hook_embed", ...residPosts(model), { hook: "logits", positions: [-1] }];
      runs.push(await run(model, [text], { capture }));
      if (adapted) model.destroy();
      base.destroy();
    }
    assertSameRun(runs[0], runs[1], `windows of ${limit} bytes`);
  }
});

Deno.test("a fused projection that is cut into windows", async () => {
  using small = await Gpu.open({ limits: { maxStorageBufferBindingSize: 16 << 10 } });
  const runs: Run[] = [];
  for (const gpu of [small, await sharedGpu()]) {
    const model = await fixtureModel(gpu, "phi3");
    const { linears } = model.weights.blocks[0];
    // gate_up_proj is [320, 64] in bf16: each half has 20 KiB.
    assertEquals(linears["mlp.up_proj"].weight.windows.length, gpu === small ? 2 : 1);
    const capture = residPosts(model);
    runs.push(await run(model, [someTokens(model, 6, 1)], { capture }));
    model.destroy();
  }
  assertSameRun(runs[0], runs[1], "windows of 16 KiB");
});

Deno.test("a long sequence in pieces has the bits of one pass, edits from its end included", async () => {
  for (const name of ["qwen2_swa", "gemma3_text"]) {
    const model = await fixtureModel(await sharedGpu(), name);
    const { spec } = model;
    const texts = [someTokens(model, 5, 1), someTokens(model, 23, 2), someTokens(model, 3, 3)];
    const hooks = ["hook_embed", ...residPosts(model), "ln_final.hook_normalized", "logits"];
    const vector = someVector(spec.hiddenSize, 4);
    const edits: Edit[] = [
      { hook: "blocks.0.hook_resid_post", op: "add", vector, scale: [1, 2, 3], positions: [-2, 1] },
      { hook: "logits", op: "add", vector: someVector(spec.vocabSize, 5), positions: [-1, 0] },
    ];
    const whole = await run(model, texts, { capture: hooks, edits });
    for (const passTokens of [1000, 7]) {
      const pieces = await captured(model, texts, { hooks, edits, passTokens });
      for (const hook of hooks) {
        texts.forEach((_, s) => {
          const values = Float32Array.from(pieces.get(`${s}.${hook}`)!);
          assertSameBits(values, whole.get(hook)![s], `${name}: ${hook} of ${s}, ${passTokens}`);
        });
      }
    }
    model.destroy();
  }
});
