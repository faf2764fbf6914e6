/** Weights over the adapter's binding size are cut by rows into windows, and nothing else changes. */

import { assertEquals } from "@std/assert";
import { capturePieces } from "../engine/capture_pieces.ts";
import { generate } from "../engine/generation/generate.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { type Edit, hookWidth } from "../engine/hooks.ts";
import { tokenLosses } from "../engine/token_loss.ts";
import { Transformer } from "../engine/transformer.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { Checkpoint } from "../engine/weights/checkpoint.ts";
import { loadWeights } from "../engine/weights/model_weights.ts";
import { encodeSafetensors, type TensorData } from "../engine/weights/safetensors_writer.ts";
import { logitLens } from "../lens/logit_lens.ts";
import { patchscope } from "../lens/patchscope.ts";
import { parseConfig } from "../models/config.ts";
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
import { normals } from "./test_gpu.ts";

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

/** A model with Gemma's vocabulary and next to nothing else. */
async function largeVocabulary(gpu: Gpu): Promise<Transformer> {
  const [vocab, hidden, wide] = [262_144, 16, 32];
  const spec = parseConfig({
    model_type: "llama",
    vocab_size: vocab,
    hidden_size: hidden,
    intermediate_size: wide,
    num_attention_heads: 2,
    num_hidden_layers: 1,
    tie_word_embeddings: true,
  }, "large vocabulary");
  const block = "model.layers.0";
  const shapes: Record<string, number[]> = {
    "model.embed_tokens": [vocab, hidden],
    "model.norm": [hidden],
    [`${block}.input_layernorm`]: [hidden],
    [`${block}.post_attention_layernorm`]: [hidden],
    ...Object.fromEntries(["q", "k", "v", "o"].map((p) => [
      `${block}.self_attn.${p}_proj`,
      [hidden, hidden],
    ])),
    [`${block}.mlp.gate_proj`]: [wide, hidden],
    [`${block}.mlp.up_proj`]: [wide, hidden],
    [`${block}.mlp.down_proj`]: [hidden, wide],
  };
  const tensors = Object.entries(shapes).map(([name, shape], seed): TensorData => ({
    name: `${name}.weight`,
    dtype: "F32",
    shape,
    data: normals(seed, shape.reduce((a, b) => a * b)),
  }));
  const checkpoint = await Checkpoint.open(memorySource("large", encodeSafetensors(tensors)));
  return new Transformer(gpu, spec, await loadWeights(gpu, spec, checkpoint));
}

Deno.test("a vocabulary of 262,144 on an adapter that binds 1 MiB", async () => {
  using small = await Gpu.open({ limits: { maxStorageBufferBindingSize: 1 << 20 } });
  const runs: Run[] = [];
  for (const gpu of [small, await sharedGpu()]) {
    const model = await largeVocabulary(gpu);
    assertEquals(model.weights.embedding.windows.length, gpu === small ? 16 : 1);
    const text = [0, 16_383, 16_384, 200_000, 262_143];
    const capture = ["hook_embed", { hook: "logits", positions: [-1] }];
    runs.push(await run(model, [text], { capture }));
    model.destroy();
  }
  assertSameRun(runs[0], runs[1], "windows of 1 MiB");
});

Deno.test("what reads logits of 262,144 tokens never has those of all positions", async () => {
  // One row of logits is all that can be bound.
  using small = await Gpu.open({ limits: { maxStorageBufferBindingSize: 1 << 20 } });
  const logits: Float32Array[] = [];
  const results = [];
  for (const gpu of [small, await sharedGpu()]) {
    const model = await largeVocabulary(gpu);
    const texts = [[0, 16_383, 16_384], [200_000, 262_143]];
    const all = await captured(model, texts, { hooks: ["logits"] });
    logits.push(Float32Array.from(all.get("0.logits")!));
    assertEquals(logits[0].length, 3 * 262_144);
    const sampling = { temperature: 1, topK: 50, topP: 0.9, seed: 1 };
    results.push({
      losses: await tokenLosses(model, texts),
      lens: await logitLens(model, [normals(3, 16), normals(4, 16)], 10),
      scope: await patchscope(model, [normals(5, 16)], {
        layer: 0,
        prompts: [[3, 200_000]],
        norm: 2,
        scales: [0.5, 1, 2],
      }),
      generated: await generate(model, { prompts: texts, maxNewTokens: 3, sampling }),
    });
    model.destroy();
  }
  assertSameBits(logits[0], logits[1], "captured logits");
  assertEquals(results[0], results[1]);
});

/** What {@link capturePieces} gives, put together: `{sequence}.{hook}`. */
async function captured(
  model: Transformer,
  sequences: number[][],
  options: Parameters<typeof capturePieces>[2],
): Promise<Map<string, number[]>> {
  const whole = new Map<string, number[]>();
  for await (
    const { sequence, hook, firstRow, values } of capturePieces(model, sequences, options)
  ) {
    const name = `${sequence}.${hook}`;
    const rows = whole.get(name) ?? [];
    assertEquals(rows.length, firstRow * (values.length === 0 ? 0 : hookWidth(model.spec, hook)));
    for (const value of values) rows.push(value);
    whole.set(name, rows);
  }
  return whole;
}

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
