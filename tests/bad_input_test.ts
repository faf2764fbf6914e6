/** What is read is not to be trusted: each fault is named by a typed error, and leaves no memory behind. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  ModelError,
  OutOfMemoryError,
  type PalimpsestError,
  TokenizerError,
  UsageError,
  WeightsError,
} from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { KvCache } from "../engine/kv_cache.ts";
import { encodeSafetensors, type TensorData } from "../engine/weights/safetensors_writer.ts";
import { loadFinetuned, loadModel, loadTokenizer } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { EMBEDDED } from "./embedded_helpers.ts";
import {
  assertSameRun,
  fixtureModel,
  FIXTURES,
  openTensors,
  readJson,
  run,
  sharedGpu,
  someTokens,
  someVector,
} from "./helpers.ts";

const MODEL = "llama3_tied";

// deno-lint-ignore no-explicit-any
type ErrorClass = new (...args: any[]) => PalimpsestError;

/** A copy of a fixture's model that `change` may spoil, for the time of `use`. */
async function withCopy(
  name: string,
  change: (folder: string) => Promise<void>,
  use: (folder: string) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  try {
    for (const file of ["config.json", "model.safetensors"]) {
      await Deno.copyFile(`${FIXTURES}/${name}/${file}`, `${folder}/${file}`);
    }
    await change(folder);
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes the weights of a folder anew, each tensor as `change` gives it back, if it does. */
async function rewrite(folder: string, change: (tensor: TensorData) => TensorData | undefined) {
  const path = `${folder}/model.safetensors`;
  const checkpoint = await openTensors(path);
  const tensors: TensorData[] = [];
  for (const name of checkpoint.names()) {
    const { shape, dtype } = checkpoint.info(name);
    assertEquals(dtype, "BF16");
    const data = new Uint16Array((await checkpoint.read(name)).buffer);
    const changed = change({ name, dtype: "BF16", shape, data });
    if (changed) tensors.push(changed);
  }
  await Deno.writeFile(path, encodeSafetensors(tensors));
}

/** Changes keys of a folder's config. */
async function reconfigure(folder: string, keys: Record<string, unknown>) {
  const path = `${folder}/config.json`;
  await Deno.writeTextFile(path, JSON.stringify({ ...await readJson(path), ...keys }));
}

const load = async (gpu: Gpu, ref: string) => await loadModel(gpu, await resolveSource(ref));

/** Loading a spoiled copy fails with this error, whose message holds these words, and allocates nothing for good. */
async function assertRefused(
  change: (folder: string) => Promise<void>,
  type: ErrorClass,
  words: string[],
) {
  const gpu = await sharedGpu();
  await withCopy(MODEL, change, async (folder) => {
    const before = gpu.buffers.allocatedBytes;
    const error = await assertRejects(() => load(gpu, folder), type);
    for (const word of words) assertStringIncludes(error.message, word);
    assertEquals(gpu.buffers.allocatedBytes, before, "memory is left behind");
  });
}

const NORM = "model.norm.weight";
const DOWN = "model.layers.3.mlp.down_proj.weight";

Deno.test("a head that the attention kernels cannot hold", async () => {
  for (const head_dim of [6, 260]) {
    const change = (folder: string) => reconfigure(folder, { head_dim });
    await assertRefused(change, ModelError, [`head_dim ${head_dim}`, "multiples of 4 up to 256"]);
  }
});

Deno.test("a copy that is not spoiled loads, and destroying it gives all memory back", async () => {
  const gpu = await sharedGpu();
  await withCopy(MODEL, (folder) => rewrite(folder, (tensor) => tensor), async (folder) => {
    const before = gpu.buffers.allocatedBytes;
    const { transformer } = await load(gpu, folder);
    const original = await fixtureModel(gpu, MODEL);
    const text = [someTokens(original, 300 % original.spec.maxPositions, 1)];
    const capture = ["logits"];
    const expected = await run(original, text, { capture });
    assertSameRun(await run(transformer, text, { capture }), expected, "copy");
    original.destroy();
    transformer.destroy();
    gpu.buffers.trim();
    assertEquals(gpu.buffers.allocatedBytes, before);
  });
});

for (const name of [NORM, DOWN, "model.embed_tokens.weight"]) {
  Deno.test(`without ${name}`, async () => {
    const without = (folder: string) =>
      rewrite(folder, (tensor) => tensor.name === name ? undefined : tensor);
    await assertRefused(without, WeightsError, [name, "model.safetensors"]);
  });
}

Deno.test("a tensor of another shape, with as many values", async () => {
  const turned = (folder: string) =>
    rewrite(folder, (tensor) => tensor.name === DOWN ? { ...tensor, shape: [160, 64] } : tensor);
  await assertRefused(turned, WeightsError, [DOWN, "[160, 64]", "[64, 160]"]);
});

for (const name of [NORM, DOWN]) {
  Deno.test(`${name} in a dtype that is not a float`, async () => {
    const whole = (folder: string) =>
      rewrite(
        folder,
        (tensor) =>
          tensor.name === name
            ? { ...tensor, dtype: "I64", data: BigInt64Array.from(tensor.data, BigInt) }
            : tensor,
      );
    await assertRefused(whole, WeightsError, [name, "I64"]);
  });
}

Deno.test("weights that end early", async () => {
  for (const bytes of [0, 7, 100, -1]) {
    const cut = async (folder: string) => {
      const path = `${folder}/model.safetensors`;
      await Deno.truncate(path, bytes < 0 ? (await Deno.stat(path)).size + bytes : bytes);
    };
    await assertRefused(cut, WeightsError, ["model.safetensors"]);
  }
});

Deno.test("configs that are unknown, senseless, or of other weights", async () => {
  const cases: [Record<string, unknown>, ErrorClass, string[]][] = [
    [{ model_type: "mamba" }, ModelError, ["model_type", "mamba", "llama"]],
    [{ model_type: null }, ModelError, ["model_type"]],
    [{ hidden_size: 1e9 }, ModelError, ["hidden_size", "1000000000"]],
    [{ num_hidden_layers: -1 }, ModelError, ["num_hidden_layers", "-1"]],
    [{ num_key_value_heads: 3 }, ModelError, ["num_key_value_heads", "3"]],
    [{ num_hidden_layers: 5 }, WeightsError, ["model.layers.4."]],
    [{ vocab_size: 500 }, WeightsError, ["model.embed_tokens.weight", "[512, 64]", "[500, 64]"]],
    [{ tie_word_embeddings: false }, WeightsError, ["lm_head.weight"]],
  ];
  for (const [keys, type, words] of cases) {
    await assertRefused((folder) => reconfigure(folder, keys), type, words);
  }
});

Deno.test("sources that are no model", async () => {
  const gpu = await sharedGpu();
  const adapter = `${FIXTURES}/${MODEL}/lora`;
  const cases: [string, string[]][] = [
    [adapter, [adapter, "LoRA adapter", "base model"]],
    [`${FIXTURES}/none`, [`${FIXTURES}/none`, "no such folder"]],
    ["embedded:cheese", ["embedded:cheese", "cake_bake"]],
  ];
  for (const [ref, words] of cases) {
    const error = await assertRejects(() => load(gpu, ref), ModelError);
    for (const word of words) assertStringIncludes(error.message, word);
  }
});

Deno.test("finetuned sides that do not belong to the base", async () => {
  const gpu = await sharedGpu();
  const base = await load(gpu, `${FIXTURES}/${MODEL}`);
  const before = gpu.buffers.allocatedBytes;
  const cases: [string, string[]][] = [
    [`${FIXTURES}/llama3_untied/lora`, ["llama3_untied/lora", "does not fit the base model"]],
    [`${FIXTURES}/llama3_untied`, ["llama3_untied", MODEL, "layers 5", "4"]],
    ["embedded:cake_bake", ["cake_bake", "does not fit the base model"]],
    ["embedded:cake_bake_full", ["embedded:cake_bake_full", MODEL]],
  ];
  for (const [ref, words] of cases) {
    const error = await assertRejects(
      async () => await loadFinetuned(gpu, base, await resolveSource(ref)),
      ModelError,
    );
    for (const word of words) assertStringIncludes(error.message, word);
    assertEquals(gpu.buffers.allocatedBytes, before, `${ref} leaves memory behind`);
  }
  base.transformer.destroy();
});

Deno.test("an adapter's weights that end early", async () => {
  const gpu = await sharedGpu();
  const base = await load(gpu, `${FIXTURES}/${MODEL}`);
  const folder = await Deno.makeTempDir();
  try {
    for (const file of ["adapter_config.json", "adapter_model.safetensors"]) {
      await Deno.copyFile(`${FIXTURES}/${MODEL}/lora/${file}`, `${folder}/${file}`);
    }
    await Deno.truncate(`${folder}/adapter_model.safetensors`, 20_000);
    const before = gpu.buffers.allocatedBytes;
    const error = await assertRejects(
      async () => await loadFinetuned(gpu, base, await resolveSource(folder)),
      WeightsError,
    );
    assertStringIncludes(error.message, "adapter_model.safetensors");
    assertEquals(gpu.buffers.allocatedBytes, before);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  base.transformer.destroy();
});

Deno.test("tokenizers that are missing, or have more tokens than the model", async () => {
  const gpu = await sharedGpu();
  const nothing = () => Promise.resolve();
  await withCopy(MODEL, nothing, async (folder) => {
    const model = await load(gpu, folder);
    const missing = await assertRejects(
      () => loadTokenizer(model.source, model.transformer.spec),
      TokenizerError,
    );
    assertStringIncludes(missing.message, folder);
    await Deno.copyFile(`${EMBEDDED}/base/tokenizer.json`, `${folder}/tokenizer.json`);
    const large = await assertRejects(
      () => loadTokenizer(model.source, model.transformer.spec),
      TokenizerError,
    );
    for (const word of [folder, "2048", "512"]) assertStringIncludes(large.message, word);
    model.transformer.destroy();
  });
});

Deno.test("a memory budget that is too small, for the weights and for a pass", async () => {
  const ref = `${FIXTURES}/${MODEL}`;
  using tight = await Gpu.open({ memoryBudget: 50 << 10 });
  const error = await assertRejects(() => load(tight, ref), OutOfMemoryError);
  assertStringIncludes(error.message, "50");
  assertEquals(tight.buffers.allocatedBytes, 0, "a failed load leaves memory behind");

  const shared = await sharedGpu();
  const before = shared.buffers.allocatedBytes;
  const elsewhere = await load(shared, ref);
  const weights = shared.buffers.allocatedBytes - before;
  elsewhere.transformer.destroy();

  const room = 3 << 20;
  using gpu = await Gpu.open({ memoryBudget: weights + room });
  const { transformer } = await load(gpu, ref);
  const small = [someTokens(transformer, 8, 1)];
  const large = Array.from({ length: 8 }, (_, s) => someTokens(transformer, 250, s));
  const capture = ["logits"];
  const expected = await run(transformer, small, { capture });
  await assertRejects(() => run(transformer, large, { capture }), OutOfMemoryError, "budget");
  assert(gpu.buffers.peakBytes <= weights + room);
  // What the failed pass held is free again: otherwise no pass would ever fit.
  gpu.buffers.trim();
  const held = gpu.buffers.allocatedBytes;
  for (let i = 0; i < 3; i++) {
    await assertRejects(() => run(transformer, large, { capture }), OutOfMemoryError);
    gpu.buffers.trim();
    assertEquals(gpu.buffers.allocatedBytes, held);
  }
  assertSameRun(await run(transformer, small, { capture }), expected, "after the failures");

  gpu.buffers.trim();
  const free = gpu.buffers.allocatedBytes;
  assertThrows(() => new KvCache(gpu, transformer.spec, 4000), OutOfMemoryError, "budget");
  assertEquals(gpu.buffers.allocatedBytes, free, "a failed cache leaves memory behind");
});

Deno.test("a cache that is full", async () => {
  const gpu = await sharedGpu();
  const model = await fixtureModel(gpu, MODEL);
  const before = gpu.buffers.allocatedBytes;
  const cache = new KvCache(gpu, model.spec, 10);
  assertEquals(cache.reserve(7), 0);
  assertThrows(() => cache.reserve(4), OutOfMemoryError, "7 of 10 rows");
  assertEquals(cache.reserve(3), 7);
  cache.destroy();
  assertEquals(gpu.buffers.allocatedBytes, before);
  model.destroy();
});

Deno.test("a refused request gives back what it took", async () => {
  const gpu = await sharedGpu();
  const model = await fixtureModel(gpu, MODEL);
  const text = [someTokens(model, 40, 1)];
  const capture = ["blocks.0.hook_resid_post", "logits"];
  await run(model, text, { capture });
  gpu.buffers.trim();
  const before = gpu.buffers.allocatedBytes;
  const vector = someVector(63, 1);
  for (
    const hook of ["hook_embed", "blocks.3.hook_mlp_out", "ln_final.hook_normalized", "logits"]
  ) {
    const edits = [{ hook, op: "add", vector }] as const;
    await assertRejects(() => run(model, text, { capture, edits }), UsageError, "63 values");
    gpu.buffers.trim();
    assertEquals(gpu.buffers.allocatedBytes, before, `${hook}: memory is left behind`);
  }
  model.destroy();
});

Deno.test("sequences over the context, empty, or with tokens outside the vocabulary", async () => {
  const model = await fixtureModel(await sharedGpu(), MODEL);
  const { maxPositions, vocabSize } = model.spec;
  assertEquals([maxPositions, vocabSize], [256, 512]);
  const cases: [number[][], string][] = [
    [
      [[1], someTokens(model, 257, 1)],
      "Cannot run sequence 1: 257 tokens are over the model's context of 256",
    ],
    [[[1], [2], []], "Cannot run sequence 2: it has no tokens"],
    [[[1, 512]], "Cannot run sequence 0: token 512 at place 1 is not in the vocabulary of 512"],
    [[[1, 2, -1]], "token -1 at place 2"],
    [[[1.5]], "token 1.5 at place 0"],
    [[[NaN]], "token NaN at place 0"],
  ];
  for (const [texts, message] of cases) {
    assertThrows(() => model.batch(texts), UsageError, message);
  }
  const place = { prefixStart: 0, prefixLength: 200, ownStart: 200, ownLength: 50 };
  assertThrows(() => model.batch([[1, 2, 3, 4, 5, 6, 7]], [place]), UsageError, "257 tokens");
  const longest = [someTokens(model, 256, 1)];
  const logits = (await run(model, longest, { capture: [{ hook: "logits", positions: [-1] }] }))
    .get("logits")!;
  assert(logits[0].length === 512 && logits[0].every(Number.isFinite));
  model.destroy();
});
