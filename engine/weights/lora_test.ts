import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { ModelError } from "../errors.ts";
import { linearShape, type ModelSpec } from "../model_spec.ts";
import { memorySource } from "./byte_source.ts";
import { Checkpoint } from "./checkpoint.ts";
import { loadLora } from "./lora.ts";
import { parseAdapterConfig } from "./lora_config.ts";
import { encodeSafetensors, type TensorData } from "./safetensors_writer.ts";

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
  tiedHead: true,
  rope: { theta: 1e4, scaling: { kind: "none" } },
  attentionScale: 0.5,
  tensors: {
    embedding: "model.embed_tokens.weight",
    finalNorm: "model.norm.weight",
    head: "model.embed_tokens.weight",
    block: (i) => `model.layers.${i}`,
  },
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

async function load(shapes: Shapes, changes: Record<string, unknown> = {}, dtype = "F32") {
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const data = dtype === "F32" ? new Float32Array(size) : new Int32Array(size);
    return { name, dtype, shape, data } as TensorData;
  });
  const checkpoint = await Checkpoint.open(
    memorySource("a.safetensors", encodeSafetensors(tensors)),
  );
  return loadLora(parseAdapterConfig({ ...settings, ...changes }, "cake"), checkpoint, spec);
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
  assertEquals([first.layer, first.linear], [0, "self_attn.q_proj"]);
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
    "base_model.model.model.embed_tokens.lora_embedding_A",
    "lora_A.weight",
  ];
  for (const name of strange) await refuses({ ...wholeAdapter(), [name]: [2] }, {}, name);
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
    modules_to_save: ["lm_head"],
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
