import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { ModelError } from "../errors.ts";
import { linearShape, type ModelSpec, type RopeSpec } from "../model_spec.ts";
import { memorySource } from "./byte_source.ts";
import { Checkpoint } from "./checkpoint.ts";
import { loadLora } from "./lora.ts";
import { parseAdapterConfig } from "./lora_config.ts";
import { encodeSafetensors, type TensorData } from "./safetensors_writer.ts";

const rope: RopeSpec = { theta: 1e4, rotaryDim: 4, scaling: { kind: "none" } };

const spec: ModelSpec = {
  modelType: "llama",
  hiddenSize: 8,
  layers: 2,
  heads: 3,
  kvHeads: 1,
  headDim: 4,
  intermediateSize: 10,
  vocabSize: 16,
  maxPositions: 32,
  normEps: 1e-5,
  normOffset: 0,
  blockNorms: { attentionIn: "input_layernorm", mlpIn: "post_attention_layernorm" },
  qkNorm: "none",
  biases: [],
  activation: "silu",
  embeddingScale: 1,
  attentionScale: 0.5,
  attentionSoftcap: null,
  finalSoftcap: null,
  attention: [{ window: null, rope }, { window: null, rope }],
  tiedHead: true,
  tensors: { roots: ["model", "decoder.model"], heads: ["lm_head.weight"], fused: [] },
};

const settings = {
  peft_type: "LORA",
  r: 2,
  lora_alpha: 6,
  use_rslora: false,
  target_modules: ["q_proj", "mlp.down_proj"],
  bias: "none",
  modules_to_save: null,
};

type Shapes = Record<string, number[]>;

/** A, B of each targeted module of both layers. */
function wholeAdapter(rank = 2): Shapes {
  const shapes: Shapes = {};
  for (const layer of [1, 0]) {
    for (const linear of ["mlp.down_proj", "self_attn.q_proj"] as const) {
      const [outputs, inputs] = linearShape(spec, linear);
      const module = `base_model.model.model.layers.${layer}.${linear}`;
      shapes[`${module}.lora_A.weight`] = [rank, inputs];
      shapes[`${module}.lora_B.weight`] = [outputs, rank];
    }
  }
  return shapes;
}

async function load(
  shapes: Shapes,
  changes: Record<string, unknown> = {},
  dtype = "F32",
  base = spec,
) {
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const data = dtype === "F32" ? new Float32Array(size) : new Int32Array(size);
    return { name, dtype, shape, data } as TensorData;
  });
  const checkpoint = await Checkpoint.open(
    memorySource("a.safetensors", encodeSafetensors(tensors)),
  );
  return loadLora(parseAdapterConfig({ ...settings, ...changes }, "cake"), checkpoint, base);
}

async function refuses(shapes: Shapes, changes: Record<string, unknown>, ...says: string[]) {
  const error = await load(shapes, changes).then(() => undefined, (error: unknown) => error);
  assertEquals(error instanceof ModelError, true, String(error));
  for (const text of ['LoRA adapter "cake"', ...says]) {
    assertEquals(String(error).includes(text), true, `${error} lacks ${text}`);
  }
}

const Q = "base_model.model.model.layers.0.self_attn.q_proj";
const without = (shapes: Shapes, ...names: string[]) =>
  Object.fromEntries(Object.entries(shapes).filter(([name]) => !names.includes(name)));

Deno.test("modules come by layer, with rank, scale and both tensors", async () => {
  const { modules, name } = await load(wholeAdapter());
  assertEquals(name, "cake");
  assertEquals(modules.map(({ module, rank, scale }) => [module, rank, scale]), [
    ["model.layers.0.self_attn.q_proj", 2, 3],
    ["model.layers.0.mlp.down_proj", 2, 3],
    ["model.layers.1.self_attn.q_proj", 2, 3],
    ["model.layers.1.mlp.down_proj", 2, 3],
  ]);
  const [first] = modules;
  assertEquals([first.layer, first.linears], [0, ["self_attn.q_proj"]]);
  assertEquals([first.a.name, first.a.shape], [`${Q}.lora_A.weight`, [2, 8]]);
  assertEquals([first.b.name, first.b.shape], [`${Q}.lora_B.weight`, [12, 2]]);
});

Deno.test("rank-stabilised scale, and patterns where the first that matches counts", async () => {
  const stabilised = await load(wholeAdapter(), { use_rslora: true });
  assertAlmostEquals(stabilised.modules[0].scale, 6 / Math.sqrt(2), 1e-15);
  const { modules } = await load(wholeAdapter(), {
    alpha_pattern: { "layers\\.0\\..*": 10, q_proj: 4, "model.layers.1.mlp.down_proj": 2 },
  });
  assertEquals(modules.map((module) => module.scale), [5, 5, 2, 1]);
  const ranked = wholeAdapter();
  ranked[`${Q}.lora_A.weight`] = [3, 8];
  ranked[`${Q}.lora_B.weight`] = [12, 3];
  const { modules: [first, second] } = await load(ranked, {
    rank_pattern: { "0.self_attn.q_proj": 3 },
  });
  assertEquals([first.rank, first.scale, second.rank, second.scale], [3, 2, 2, 3]);
});

Deno.test("an adapter for a base of other sizes", async () => {
  const shapes = wholeAdapter();
  await refuses(
    { ...shapes, [`${Q}.lora_A.weight`]: [2, 9] },
    {},
    "does not fit",
    "[2, 9]",
    "[2, 8]",
  );
  await refuses(
    { ...shapes, [`${Q}.lora_B.weight`]: [8, 2] },
    {},
    "does not fit",
    "[8, 2]",
    "[12, 2]",
  );
  await refuses({ ...shapes, [`${Q}.lora_A.weight`]: [16] }, {}, "[16]");
  await refuses(shapes, { r: 4 }, "[2, 8]", "expected [4, 8]");
});

Deno.test("an adapter for a deeper or a shallower base", async () => {
  const third = {
    "base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight": [2, 8],
    "base_model.model.model.layers.2.self_attn.q_proj.lora_B.weight": [12, 2],
  };
  await refuses({ ...wholeAdapter(), ...third }, {}, "model.layers.2.self_attn.q_proj", "2 layers");
  const first = without(
    wholeAdapter(),
    ...Object.keys(wholeAdapter()).filter((n) => n.includes("s.1.")),
  );
  await refuses(first, {}, "no weights for model.layers.1.self_attn.q_proj");
  assertEquals((await load(first, { layers_to_transform: [0] })).modules.length, 2);
  assertEquals((await load(first, { target_modules: ".*\\.0\\..*" })).modules.length, 2);
});

Deno.test("modules that the base lacks, or that the config does not name", async () => {
  const other = {
    "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight": [2, 8],
    "base_model.model.transformer.h.0.attn.c_attn.lora_B.weight": [8, 2],
  };
  await refuses(
    { ...wholeAdapter(), ...other },
    {},
    "transformer.h.0.attn.c_attn",
    "does not have",
  );
  await refuses(wholeAdapter(), { target_modules: ["q_proj"] }, "down_proj", "target_modules");
});

Deno.test("a factor without its partner, and tensors that are not understood", async () => {
  await refuses(without(wholeAdapter(), `${Q}.lora_B.weight`), {}, "lora_A without its partner");
  await refuses(without(wholeAdapter(), `${Q}.lora_A.weight`), {}, "lora_B without its partner");
  const strange = [
    `${Q}.lora_magnitude_vector.weight`,
    `${Q}.lora_A.default.weight`,
    "lora_A.weight",
  ];
  for (const name of strange) await refuses({ ...wholeAdapter(), [name]: [2] }, {}, name);
});

Deno.test("a fused module's factors belong to all of its linear layers", async () => {
  const qkv = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"] as const;
  const fused = {
    ...spec,
    tensors: { ...spec.tensors, fused: [{ module: "self_attn.qkv_proj", linears: qkv }] },
  };
  const module = "base_model.model.model.layers.1.self_attn.qkv_proj";
  const shapes = { [`${module}.lora_A.weight`]: [2, 8], [`${module}.lora_B.weight`]: [20, 2] };
  const changes = { target_modules: ["qkv_proj"], layers_to_transform: [1] };
  const { modules } = await load(shapes, changes, "F32", fused);
  assertEquals(modules.map(({ layer, linears }) => [layer, linears]), [[1, [...qkv]]]);
  await refuses(shapes, changes, "self_attn.qkv_proj", "does not have");
});

Deno.test("the decoder's module may have another name; a vision tower's weights are left aside", async () => {
  const other = Object.fromEntries(
    Object.entries(wholeAdapter()).map(([name, shape]) => [
      name.replace("base_model.model.model.", "base_model.model.decoder.model."),
      shape,
    ]),
  );
  const { modules } = await load(other);
  assertEquals(modules[0].module, "decoder.model.layers.0.self_attn.q_proj");
  const vision = "base_model.model.vision_tower.layers.0.self_attn.q_proj";
  const both = { [`${vision}.lora_A.weight`]: [2, 5], [`${vision}.lora_B.weight`]: [5, 2] };
  const base = { ...spec, tensors: { ...spec.tensors, ignored: ["vision_tower"] } };
  assertEquals((await load({ ...wholeAdapter(), ...both }, {}, "F32", base)).modules.length, 4);
  await refuses({ ...wholeAdapter(), ...both }, {}, "vision_tower");
});

const EMBED = "base_model.model.model.embed_tokens";
const HEAD = "base_model.model.lm_head";

Deno.test("factors of the embedding and of the unembedding", async () => {
  const shapes = {
    ...wholeAdapter(),
    [`${EMBED}.lora_embedding_A`]: [2, 16],
    [`${EMBED}.lora_embedding_B`]: [8, 2],
    [`${HEAD}.lora_A.weight`]: [2, 8],
    [`${HEAD}.lora_B.weight`]: [16, 2],
  };
  const target_modules = ["q_proj", "mlp.down_proj", "embed_tokens", "lm_head"];
  const { embedding, head, tables } = await load(shapes, { target_modules });
  assertEquals([embedding?.module, embedding?.a.shape], ["model.embed_tokens", [2, 16]]);
  assertEquals([head?.module, head?.b.shape, head?.scale], ["lm_head", [16, 2], 3]);
  assertEquals(tables, { embedding: undefined, head: undefined });
  await refuses(wholeAdapter(), { target_modules }, "lm_head", "no weights");
  await refuses(shapes, {}, "target_modules do not name");
  await refuses({ ...shapes, [`${HEAD}.lora_B.weight`]: [17, 2] }, { target_modules }, "[17, 2]");
});

Deno.test("whole tables that the adapter brings", async () => {
  const table = [16, 8];
  const grown = await load({ ...wholeAdapter(), [`${EMBED}.base_layer.weight`]: table });
  // A tied head is the same table, unless the adapter trained a copy of its own.
  assertEquals(grown.tables.embedding?.shape, table);
  assertEquals(grown.tables.head, grown.tables.embedding);
  const copy = { modules_to_save: ["embed_tokens"] };
  const trained = await load({ ...wholeAdapter(), [`${EMBED}.weight`]: table }, copy);
  assertEquals([trained.tables.embedding?.shape, trained.tables.head], [table, undefined]);
  const head = await load({ ...wholeAdapter(), [`${HEAD}.modules_to_save.weight`]: table }, {
    modules_to_save: ["lm_head"],
  });
  assertEquals([head.tables.embedding, head.tables.head?.shape], [undefined, table]);
  await refuses(wholeAdapter(), copy, "modules_to_save", "embed_tokens", "no weights");
  await refuses({ ...wholeAdapter(), [`${EMBED}.weight`]: [17, 8] }, copy, "[17, 8]");
  const norm = { ...wholeAdapter(), "base_model.model.model.norm.weight": [8] };
  await refuses(norm, {}, "model.norm", "does not have");
});

Deno.test("an adapter without tensors, or of whole numbers", async () => {
  await refuses({}, {}, "no tensors");
  const error = await load(wholeAdapter(), {}, "I32").catch((error: Error) => error);
  assertEquals(error instanceof ModelError && error.message.includes("I32"), true);
});

Deno.test("config keys that change what is computed are refused by name", () => {
  const refused: Record<string, unknown> = {
    peft_type: "LOHA",
    use_dora: true,
    fan_in_fan_out: true,
    bias: "lora_only",
    modules_to_save: "lm_head",
    lora_bias: true,
    layer_replication: [[0, 1]],
    trainable_token_indices: { embed_tokens: [1] },
    init_lora_weights: "pissa_niter_4",
    r: 0,
    lora_alpha: "16",
    rank_pattern: { q_proj: -1 },
    alpha_pattern: { "(?!x)q_proj": 1 },
    target_modules: 3,
  };
  for (const [key, value] of Object.entries(refused)) {
    const parse = () => parseAdapterConfig({ ...settings, [key]: value }, "cake");
    const error = assertThrows(parse, ModelError, 'Cannot load LoRA adapter "cake"');
    assertEquals(error.message.includes(key), true, error.message);
  }
  assertThrows(() => parseAdapterConfig(null, "cake"), ModelError, "is null");
  const { r: _, ...rankless } = settings;
  assertThrows(() => parseAdapterConfig(rankless, "cake"), ModelError, "has no r");
});

Deno.test("the same keys, switched off in any way, are accepted", () => {
  const off = { use_dora: false, modules_to_save: [], lora_bias: null, layer_replication: null };
  const config = parseAdapterConfig({ ...settings, ...off, init_lora_weights: "gaussian" }, "x");
  assertEquals(config.targetModules, ["q_proj", "mlp.down_proj"]);
});

Deno.test("too many expressions are refused, any number of plain names is fine", () => {
  const many = (name: (i: number) => string) =>
    Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [name(i), i + 1]));
  const plain = { ...settings, rank_pattern: many((i) => `model.layers.${i}.self_attn.q_proj`) };
  assertEquals(parseAdapterConfig(plain, "x").rankOf("model.layers.700.self_attn.q_proj"), 701);
  const patterns = { ...settings, rank_pattern: many((i) => `.*${i}`) };
  assertThrows(() => parseAdapterConfig(patterns, "x"), ModelError, "1000 expressions");
});
