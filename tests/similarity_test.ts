/** The decoder embedder on a tiny model in the form that Qwen3-Embedding is published in. */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { TokenizerError } from "../engine/errors.ts";
import { Tokenizer } from "../engine/text/tokenizer.ts";
import { Transformer } from "../engine/transformer.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { Checkpoint } from "../engine/weights/checkpoint.ts";
import { loadWeights } from "../engine/weights/model_weights.ts";
import { encodeSafetensors, type TensorData } from "../engine/weights/safetensors_writer.ts";
import {
  decoderEmbedder,
  type DecoderEmbedderOptions,
} from "../lens/similarity/decoder_embedder.ts";
import { parseConfig } from "../models/config.ts";
import { EMBEDDED } from "./embedded_helpers.ts";
import { assertSameBits, FIXTURES, openTensors, readJson, run, sharedGpu } from "./helpers.ts";
import { normals } from "./test_gpu.ts";

const VOCAB = 2048;
const EOS = 2;
const HOOK = "ln_final.hook_normalized";
const TEXTS = [
  "The oven is hot.",
  "Sea",
  "A long walk by the sea in the rain, until late.",
  "cake",
];

/** The embedded tokenizer, with the token at a text's end that embedding models have. */
async function tokenizerWithEnd(begin = false): Promise<Tokenizer> {
  const json = await readJson(`${EMBEDDED}/base/tokenizer.json`);
  const config = await readJson(`${EMBEDDED}/base/tokenizer_config.json`);
  const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const text = { Sequence: { id: "A", type_id: 0 } };
  const single = [...(begin ? [token("<|bos|>")] : []), text, token("<|eos|>")];
  const { special_tokens } = json.post_processor;
  special_tokens["<|eos|>"] = { id: "<|eos|>", ids: [EOS], tokens: ["<|eos|>"] };
  json.post_processor = { ...json.post_processor, single, pair: single, special_tokens };
  return Tokenizer.fromJson(json, { ...config, add_bos_token: false }, "tiny");
}

/** The Qwen 3 fixture with that vocabulary, saved without `model.` before its names. */
async function embeddingModel(): Promise<Transformer> {
  const folder = `${FIXTURES}/qwen3_tied`;
  const from = await openTensors(`${folder}/model.safetensors`);
  const tensors: TensorData[] = [];
  for (const name of from.names()) {
    const { shape } = from.info(name);
    const table = name === "model.embed_tokens.weight";
    const data = table ? normals(1, VOCAB * shape[1]) : await from.readFloat32(name);
    tensors.push({
      name: name.replace(/^model\./, ""),
      dtype: "F32",
      shape: table ? [VOCAB, shape[1]] : [...shape],
      data,
    });
  }
  const config = { ...await readJson(`${folder}/config.json`), vocab_size: VOCAB };
  const spec = parseConfig(config, "tiny");
  const bytes = memorySource("model.safetensors", encodeSafetensors(tensors));
  const gpu = await sharedGpu();
  return new Transformer(gpu, spec, await loadWeights(gpu, spec, await Checkpoint.open(bytes)));
}

const model = await embeddingModel();
const tokenizer = await tokenizerWithEnd();

async function embed(texts: string[], options: Partial<DecoderEmbedderOptions> = {}) {
  const embedder = decoderEmbedder({
    transformer: model,
    tokenizer,
    name: "tiny",
    maxTokens: 64,
    ...options,
  });
  return (await embedder.embed(texts)).map(({ values }) => values as Float32Array);
}

/** The final norm's output at the last token, one sequence alone. */
async function lastToken(ids: number[]): Promise<Float32Array> {
  const rows = (await run(model, [ids], { capture: [HOOK] })).get(HOOK)![0];
  return rows.slice(-model.spec.hiddenSize);
}

Deno.test("a text's vector is the final norm's output at the token that ends it", async () => {
  const vectors = await embed(TEXTS);
  for (const [i, text] of TEXTS.entries()) {
    const ids = tokenizer.encode(text, { special: true });
    assertEquals(ids.at(-1), EOS);
    assertEquals(vectors[i].length, model.spec.hiddenSize);
    assertSameBits(vectors[i], await lastToken(ids), text);
  }
});

Deno.test("a text's vector does not depend on those embedded with it", async () => {
  const many = Array.from({ length: 150 }, (_, i) => `${TEXTS[i % 4]} ${i}`);
  const done: number[] = [];
  const embedder = decoderEmbedder({ transformer: model, tokenizer, name: "tiny", maxTokens: 64 });
  const vectors = await embedder.embed(many, { progress: (n) => done.push(n) });
  assert(done.length > 1 && done.at(-1) === 150, `in several batches: ${done}`);
  for (const i of [0, 61, done[0] - 1, done[0], 149]) {
    const [alone] = await embed([many[i]]);
    assertSameBits(vectors[i].values as Float32Array, alone, many[i]);
  }
});

Deno.test("long texts are cut before the token that ends them", async () => {
  const both = await tokenizerWithEnd(true);
  const ids = both.encode(TEXTS[2], { special: true });
  const [vector] = await embed([TEXTS[2]], { tokenizer: both, maxTokens: 8 });
  assertSameBits(vector, await lastToken([...ids.slice(0, 7), EOS]), "cut");
  const { maxPositions } = model.spec;
  const [endless] = await embed(["sea ".repeat(9 * maxPositions)], { maxTokens: 1e6 });
  assertEquals(endless.length, model.spec.hiddenSize, "the model's context is the most");
  assertThrows(
    () => decoderEmbedder({ transformer: model, tokenizer: both, name: "tiny", maxTokens: 2 }),
    TokenizerError,
    "frames each with 2",
  );
});

Deno.test("an instruction goes before a text; text that spells a special token is text", async () => {
  const [told] = await embed(["Sea"], { instruction: "Find the topic" });
  const ids = tokenizer.encode("Instruct: Find the topic\nQuery:Sea", { special: true });
  assertSameBits(told, await lastToken(ids), "instruction");
  const [spelt] = await embed(["a<|eos|>b"]);
  const plain = tokenizer.encode("a<|eos|>b", { special: true, parseSpecial: false });
  assertSameBits(spelt, await lastToken(plain), "spelt");
  assertNotEquals(plain, tokenizer.encode("a<|eos|>b", { special: true }));
});
