/** LoRA factors on the embedding and on the unembedding: what they add, in float64 on the host, resident and streamed. */

import { withAdapter } from "../engine/adapter.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { Checkpoint } from "../engine/weights/checkpoint.ts";
import { loadLora } from "../engine/weights/lora.ts";
import { parseAdapterConfig } from "../engine/weights/lora_config.ts";
import { encodeSafetensors } from "../engine/weights/safetensors_writer.ts";
import { loadModel } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { assertClose, FIXTURES, openTensors, run, sharedGpu, someTokens } from "./helpers.ts";
import { normals } from "./test_gpu.ts";

const RANK = 3;
/** As PEFT has it: alpha / r. */
const SCALE = 12 / RANK;

/** Gemma scales its embedding; its unembedding is tied to it, each with factors of its own. */
const MODELS = ["gemma3_text", "llama3_untied"];

/** An adapter on both tables alone, and its factors. */
async function tablesAdapter(vocab: number, hidden: number) {
  const sizes = {
    "model.embed_tokens.lora_embedding_A": [RANK, vocab],
    "model.embed_tokens.lora_embedding_B": [hidden, RANK],
    "lm_head.lora_A.weight": [RANK, hidden],
    "lm_head.lora_B.weight": [vocab, RANK],
  };
  const tensors = Object.entries(sizes).map(([name, shape], i) => ({
    name: `base_model.model.${name}`,
    dtype: "F32" as const,
    shape,
    data: normals(i + 1, shape[0] * shape[1]).map((value) => 0.1 * value),
  }));
  const config = parseAdapterConfig({
    peft_type: "LORA",
    r: RANK,
    lora_alpha: 12,
    target_modules: ["embed_tokens", "lm_head"],
  }, "tables");
  const checkpoint = await Checkpoint.open(memorySource("tables", encodeSafetensors(tensors)));
  const [embedA, embedB, headA, headB] = tensors.map(({ data }) => data);
  return { config, checkpoint, embedA, embedB, headA, headB };
}

for (const name of MODELS) {
  for (const stream of [false, true]) {
    Deno.test(`${name}${stream ? ", streamed" : ""}: an adapter of both tables`, async () => {
      const gpu = await sharedGpu();
      const source = await resolveSource(`${FIXTURES}/${name}`);
      const { transformer: base } = await loadModel(gpu, source, { stream });
      const { spec } = base;
      const { vocabSize: vocab, hiddenSize: hidden, embeddingScale } = spec;
      const made = await tablesAdapter(vocab, hidden);
      const { embedA, embedB, headA, headB } = made;
      const model = await withAdapter(base, loadLora(made.config, made.checkpoint, spec));
      const tokens = someTokens(base, 7, 3);
      const capture = ["hook_embed", "ln_final.hook_normalized", "logits"];
      const [embedded, normed, logits] = [...(await run(model, [tokens], { capture })).values()]
        .map(([rows]) => rows);
      model.destroy();
      base.destroy();

      const tensors = await openTensors(`${FIXTURES}/${name}/model.safetensors`);
      const table = await tensors.readFloat32("model.embed_tokens.weight");
      const head = spec.tiedHead ? table : await tensors.readFloat32("lm_head.weight");
      const dot = (size: number, term: (i: number) => number) => {
        let sum = 0;
        for (let i = 0; i < size; i++) sum += term(i);
        return sum;
      };
      const expected = tokens.flatMap((id) =>
        Array.from({ length: hidden }, (_, i) => {
          const low = dot(RANK, (r) => embedB[i * RANK + r] * embedA[r * vocab + id]);
          return embeddingScale * (table[id * hidden + i] + SCALE * low);
        })
      );
      assertClose(embedded, expected, 1e-6, "hook_embed");
      const scores = tokens.flatMap((_, t) => {
        const x = normed.subarray(t * hidden, (t + 1) * hidden);
        const low = Array.from(
          { length: RANK },
          (_, r) => dot(hidden, (i) => headA[r * hidden + i] * x[i]),
        );
        return Array.from(
          { length: vocab },
          (_, v) =>
            dot(hidden, (i) => head[v * hidden + i] * x[i]) +
            SCALE * dot(RANK, (r) => headB[v * RANK + r] * low[r]),
        );
      });
      assertClose(logits, scores, 1e-5, "logits");
    });
  }
}
