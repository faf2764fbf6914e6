import { assertEquals, assertThrows } from "@std/assert";
import { ModelError } from "../engine/errors.ts";
import { parseConfig } from "./config.ts";

const fixture = (path: string) =>
  JSON.parse(Deno.readTextFileSync(new URL(`../tests/fixtures/${path}`, import.meta.url)));

const small = {
  model_type: "llama",
  hidden_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 128,
  vocab_size: 100,
};

const llama3 = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 32,
};

function refuses(changes: Record<string, unknown>, ...says: string[]) {
  const error = assertThrows(() => parseConfig({ ...small, ...changes }, "x"), ModelError);
  for (const text of ['Cannot load model "x": config.json ', ...says]) {
    assertEquals(error.message.includes(text), true, `${error.message} lacks ${text}`);
  }
}

/** A spec without its function, which has no equality. */
function plain(json: unknown) {
  const { tensors: { block, ...tensors }, ...spec } = parseConfig(json, "x");
  return { ...spec, tensors: { ...tensors, block: block(3) } };
}

Deno.test("the three spellings of a config give the same spec", () => {
  for (const model of ["llama2_mha", "llama3_tied", "llama3_untied"]) {
    const spec = plain(fixture(`${model}/config.json`));
    assertEquals(plain(fixture(`${model}/config.hub.json`)), spec);
    assertEquals(plain(fixture(`${model}/config.v5.json`)), spec);
  }
});

Deno.test("every value of a Llama 3 config arrives", () => {
  assertEquals(plain(fixture("llama3_tied/config.json")), {
    modelType: "llama",
    hiddenSize: 64,
    layers: 4,
    heads: 4,
    kvHeads: 2,
    headDim: 24,
    intermediateSize: 160,
    vocabSize: 512,
    maxPositions: 256,
    normEps: 1e-5,
    tiedHead: true,
    rope: {
      theta: 500000,
      scaling: {
        kind: "llama3",
        factor: 8,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPositions: 32,
      },
    },
    attentionScale: 1 / Math.sqrt(24),
    tensors: {
      embedding: "model.embed_tokens.weight",
      finalNorm: "model.norm.weight",
      head: "model.embed_tokens.weight",
      block: "model.layers.3",
    },
  });
});

Deno.test("defaults are those of Hugging Face", () => {
  const spec = plain(small);
  assertEquals([spec.kvHeads, spec.headDim, spec.maxPositions], [4, 16, 2048]);
  assertEquals([spec.normEps, spec.tiedHead, spec.tensors.head], [1e-6, false, "lm_head.weight"]);
  assertEquals(spec.rope, { theta: 10000, scaling: { kind: "none" } });
  assertEquals(
    plain({ ...small, head_dim: null, num_key_value_heads: null, rope_scaling: null }),
    spec,
  );
});

Deno.test("an unknown or missing model_type", () => {
  assertThrows(
    () => parseConfig({ model_type: "mamba" }, "x"),
    ModelError,
    'Cannot load model "x": config.json has model_type "mamba" (supported: llama)',
  );
  refuses({ model_type: undefined }, "has no model_type");
  refuses({ model_type: "toString" }, '"toString"');
  refuses({ model_type: 3 }, "model_type 3");
  for (const json of [null, [], "x", 3]) {
    assertThrows(() => parseConfig(json, "x"), ModelError, "expected an object");
  }
});

Deno.test("sizes are whole numbers within limits", () => {
  const sizes = [
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
  ];
  for (const key of sizes) {
    refuses({ [key]: undefined }, `has no ${key}`);
    refuses({ [key]: null }, `has ${key} null`);
    for (const value of [0, -1, 1.5, "64", 2 ** 31, 1e300]) {
      refuses({ [key]: value }, `has ${key} `, "expected a whole number from 1 to ");
    }
  }
  refuses({ max_position_embeddings: 2 ** 40 }, "max_position_embeddings");
  refuses({ head_dim: -2 }, "head_dim");
  refuses({ num_key_value_heads: 0 }, "num_key_value_heads");
  refuses({ rms_norm_eps: "1e-6" }, "rms_norm_eps");
  refuses({ rms_norm_eps: -1 }, "rms_norm_eps");
});

Deno.test("what Llama does not do here is refused by key", () => {
  refuses({ attention_bias: true }, "attention_bias true");
  refuses({ mlp_bias: true }, "mlp_bias true");
  refuses({ hidden_act: "gelu" }, 'hidden_act "gelu"');
  refuses({ quantization_config: { quant_method: "gptq" } }, "quantization_config", "gptq");
  refuses({ partial_rotary_factor: 0.5 }, "partial_rotary_factor");
  refuses({ tie_word_embeddings: "yes" }, "tie_word_embeddings");
});

Deno.test("heads that do not divide", () => {
  refuses({ num_key_value_heads: 3 }, "num_attention_heads 4", "num_key_value_heads 3");
  refuses({ num_attention_heads: 6 }, "hidden_size 64", "num_attention_heads 6");
  refuses({ head_dim: 7 }, "head_dim 7", "even");
  assertEquals(plain({ ...small, num_attention_heads: 6, head_dim: 8 }).headDim, 8);
});

Deno.test("rope kinds, under either spelling of the kind", () => {
  const rope = (changes: Record<string, unknown>) => plain({ ...small, ...changes }).rope;
  const linear = { theta: 10000, scaling: { kind: "linear", factor: 2 } } as const;
  assertEquals(rope({ rope_scaling: { type: "linear", factor: 2 } }), linear);
  assertEquals(rope({ rope_scaling: { rope_type: "linear", type: "linear", factor: 2 } }), linear);
  assertEquals(rope({ rope_parameters: { rope_type: "linear", factor: 2 } }), linear);
  assertEquals(rope({ rope_scaling: { rope_type: "default" } }).scaling, { kind: "none" });
  assertEquals(rope({ rope_theta: 7, rope_parameters: { rope_theta: 7 } }).theta, 7);
  assertEquals(rope({ rope_theta: 7, rope_parameters: llama3 }).theta, 7);
});

Deno.test("rope settings that are unknown, incomplete or contradictory", () => {
  refuses({ rope_scaling: { type: "yarn", factor: 2 } }, 'rope_scaling.rope_type "yarn"', "linear");
  refuses({ rope_parameters: { rope_type: "dynamic" } }, 'rope_parameters.rope_type "dynamic"');
  refuses({ rope_scaling: { type: "linear" } }, "has no rope_scaling.factor");
  refuses({ rope_scaling: { type: "linear", factor: 0 } }, "rope_scaling.factor 0");
  refuses({ rope_scaling: "linear" }, 'rope_scaling "linear"');
  refuses({ rope_theta: "1e4" }, "rope_theta");
  refuses({ rope_theta: 0 }, "rope_theta 0");
  for (const key of Object.keys(llama3).filter((key) => key !== "rope_type")) {
    refuses({ rope_scaling: { ...llama3, [key]: undefined } }, `has no rope_scaling.${key}`);
  }
  refuses(
    { rope_parameters: { ...llama3, high_freq_factor: 1 } },
    "rope_parameters.high_freq_factor",
  );
  refuses({ rope_scaling: { rope_type: "linear", type: "llama3", factor: 2 } }, "contradict");
  refuses({ rope_theta: 5, rope_parameters: { rope_theta: 7 } }, "rope_theta 5", "contradict");
  refuses(
    { rope_scaling: llama3, rope_parameters: { ...llama3, factor: 9 } },
    "rope_scaling.factor 8",
    "rope_parameters.factor 9",
    "contradict",
  );
});
