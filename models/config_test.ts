import { assertEquals, assertThrows } from "@std/assert";
import { PalimpsestError } from "../engine/errors.ts";
import { fixture, type Json, SIZES, variantsOf } from "./architectures/test_helpers.ts";
import { parseConfig } from "./config.ts";

const FIXTURES = [
  "llama2_mha",
  "llama3_tied",
  "llama3_untied",
  "qwen2_tied",
  "qwen2_untied",
  "qwen2_swa",
  "qwen3_tied",
  "qwen3_untied",
  "gemma2",
  "gemma3_text",
  "gemma3_mm",
  "mistral",
  "olmo2",
  "phi3",
];

const { read, refuses } = variantsOf({ model_type: "llama", ...SIZES });

for (const model of FIXTURES) {
  Deno.test(`the three spellings of ${model}'s config give the same spec`, () => {
    const spec = parseConfig(fixture(`${model}/config.json`), model);
    assertEquals(parseConfig(fixture(`${model}/config.hub.json`), model), spec);
    assertEquals(parseConfig(fixture(`${model}/config.v5.json`), model), spec);
    assertEquals(spec.attention.length, spec.layers);
  });
}

Deno.test("an unknown or missing model_type", () => {
  refuses(
    { model_type: "mamba" },
    'has model_type "mamba" (supported: llama, qwen2, qwen3, gemma2, gemma3_text, gemma3, mistral, olmo2, phi3)',
  );
  refuses({ model_type: undefined }, "has no model_type");
  refuses({ model_type: "toString" }, '"toString"');
  refuses({ model_type: 3 }, "model_type 3");
  for (const json of [null, [], "x", 3]) {
    assertThrows(() => parseConfig(json, "x"), PalimpsestError, "expected an object");
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

Deno.test("heads that do not divide", () => {
  refuses({ num_key_value_heads: 3 }, "num_attention_heads 4", "num_key_value_heads 3");
  refuses({ num_attention_heads: 6 }, "hidden_size 64", "num_attention_heads 6");
  refuses({ head_dim: 7 }, "head_dim 7", "even");
  assertEquals(read({ num_attention_heads: 6, head_dim: 8 }).headDim, 8);
  assertEquals(read({ head_dim: null, num_key_value_heads: null }).kvHeads, 4);
});

Deno.test("what would compute something else is refused by key", () => {
  refuses({ quantization_config: { quant_method: "gptq" } }, "quantization_config", "gptq");
  refuses({ is_causal: false }, "is_causal false", "only true");
  refuses({ use_bidirectional_attention: true }, "use_bidirectional_attention true", "only false");
  refuses({ tie_word_embeddings: "yes" }, 'tie_word_embeddings "yes"', "true or false");
  refuses({ hidden_act: "gelu" }, 'hidden_act "gelu"', '"silu"', '"gelu_pytorch_tanh"');
  refuses({ hidden_act: null }, "hidden_act null");
  assertEquals(read({ quantization_config: null, use_bidirectional_attention: null }), read());
  assertEquals(read({ hidden_act: "swish" }).activation, "silu");
  assertEquals(read({ hidden_act: "gelu_pytorch_tanh" }).activation, "gelu_tanh");
});

Deno.test("a hostile value under any key gives a spec or an error of ours", () => {
  const hostile = [
    null,
    false,
    true,
    0,
    -1,
    0.3,
    1e308,
    "",
    "x\n",
    [],
    [null],
    {},
    { a: [1] },
    { full_attention: 3 },
    { rope_type: {}, type: [] },
    { rope_type: "longrope", short_factor: {} },
    { rope_type: "longrope", short_factor: [1, "x"] },
    JSON.parse('{"__proto__": {"rope_type": 3}, "constructor": 1}'),
    new Array(5000).fill(9),
    JSON.parse("[".repeat(5000) + "]".repeat(5000)),
  ];
  const tolerates = (config: Json) => {
    try {
      parseConfig(config, "x");
    } catch (error) {
      if (!(error instanceof PalimpsestError)) throw error;
      assertEquals(error.message.length < 1000, true);
    }
  };
  for (const model of ["llama3_tied", "qwen2_swa", "gemma3_mm", "phi3"]) {
    const config = fixture(`${model}/config.v5.json`);
    const keys = ["rope_scaling", "layer_types", "sliding_window_pattern", ...Object.keys(config)];
    for (const key of keys) {
      for (const value of hostile) tolerates({ ...config, [key]: value });
    }
    const text = config.text_config as Json;
    for (const key of Object.keys(text ?? {})) {
      for (const value of hostile) {
        tolerates({ ...config, text_config: { ...text, [key]: value } });
      }
    }
  }
});
