/** Gemma's vocabulary, on an adapter that binds next to nothing. */

import { assertEquals } from "@std/assert";
import { generate } from "../../engine/generation/generate.ts";
import { Gpu } from "../../engine/gpu/gpu.ts";
import { tokenLosses } from "../../engine/token_loss.ts";
import { Transformer } from "../../engine/transformer.ts";
import { memorySource } from "../../engine/weights/byte_source.ts";
import { Checkpoint } from "../../engine/weights/checkpoint.ts";
import { loadWeights } from "../../engine/weights/model_weights.ts";
import { encodeSafetensors, type TensorData } from "../../engine/weights/safetensors_writer.ts";
import { logitLens } from "../../lens/logit_lens.ts";
import { patchscope } from "../../lens/patchscope.ts";
import { parseConfig } from "../../models/config.ts";
import { captured } from "../captured.ts";
import { assertSameBits, assertSameRun, type Run, run, sharedGpu } from "../helpers.ts";
import { normals } from "../test_gpu.ts";

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
