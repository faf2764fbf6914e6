import { assertEquals } from "@std/assert";
import { fixture, fixtureSpec, type Json, SIZES, variantsOf, windows } from "./test_helpers.ts";

const gemma2 = variantsOf({ model_type: "gemma2", ...SIZES });
const text = variantsOf({ model_type: "gemma3_text", ...SIZES });
const wrapper = variantsOf({ model_type: "gemma3", text_config: SIZES });

const rope = (theta: number, factor?: number) => ({
  theta,
  rotaryDim: 32,
  scaling: factor ? { kind: "linear", factor } as const : { kind: "none" } as const,
});

const NORMS = {
  attentionIn: "input_layernorm",
  attentionOut: "post_attention_layernorm",
  mlpIn: "pre_feedforward_layernorm",
  mlpOut: "post_feedforward_layernorm",
};

Deno.test("what the Gemmas do alike", () => {
  for (const model of ["gemma2", "gemma3_text", "gemma3_mm"]) {
    const spec = fixtureSpec(model);
    assertEquals([spec.normOffset, spec.blockNorms, spec.biases], [1, NORMS, []]);
    assertEquals([spec.activation, spec.tiedHead, spec.headDim], ["gelu_tanh", true, 32]);
    assertEquals(spec.embeddingScale, 8.94427204132080078125, "√80 as f32");
    assertEquals(spec.normEps, 1e-6);
  }
});

Deno.test("every value of a Gemma 2 config arrives", () => {
  const spec = fixtureSpec("gemma2");
  assertEquals([spec.modelType, spec.qkNorm, spec.layers], ["gemma2", "none", 4]);
  assertEquals([spec.attentionSoftcap, spec.finalSoftcap], [3, 6]);
  assertEquals(spec.attentionScale, 1 / Math.sqrt(24));
  assertEquals(spec.attention, [
    { window: 7, rope: rope(10000) },
    { window: null, rope: rope(10000) },
    { window: 7, rope: rope(10000) },
    { window: null, rope: rope(10000) },
  ]);
  assertEquals(spec.tensors, { roots: ["model", ""], heads: ["lm_head.weight"], fused: [] });
});

Deno.test("Gemma 2's defaults are those of Hugging Face", () => {
  const spec = gemma2.read();
  assertEquals([spec.headDim, spec.maxPositions, spec.tiedHead], [256, 8192, true]);
  assertEquals([spec.attentionSoftcap, spec.finalSoftcap], [50, 30]);
  assertEquals([spec.attentionScale, spec.normEps], [1 / 16, 1e-6]);
  assertEquals(windows(spec), [4096, null, 4096, null]);
  const bare = gemma2.read({ attn_logit_softcapping: null, final_logit_softcapping: null });
  assertEquals([bare.attentionSoftcap, bare.finalSoftcap], [null, null]);
  assertEquals(gemma2.read({ tie_word_embeddings: false }).tiedHead, false);
  assertEquals(gemma2.read({ attention_bias: true }).biases.length, 4);
});

Deno.test("what Gemma 2 cannot be", () => {
  gemma2.refuses({ attn_logit_softcapping: 0 }, "attn_logit_softcapping 0");
  gemma2.refuses({ final_logit_softcapping: "30" }, 'final_logit_softcapping "30"');
  gemma2.refuses({ query_pre_attn_scalar: 0 }, "query_pre_attn_scalar 0");
  gemma2.refuses({ hidden_activation: "gelu" }, 'hidden_activation "gelu"', "gelu_pytorch_tanh");
  gemma2.refuses({ sliding_window: null }, "no sliding_window", "layer 0");
  assertEquals(
    windows(
      gemma2.read({ sliding_window: null, layer_types: Array(4).fill("full_attention") }),
    ),
    Array(4).fill(null),
  );
});

Deno.test("every value of a Gemma 3 text config arrives", () => {
  const spec = fixtureSpec("gemma3_text");
  assertEquals([spec.modelType, spec.qkNorm, spec.kvHeads], ["gemma3_text", "head", 1]);
  assertEquals([spec.attentionSoftcap, spec.finalSoftcap], [null, null]);
  assertEquals(spec.attentionScale, 1 / Math.sqrt(40));
  const [local, global] = [
    { window: 6, rope: rope(10000) },
    { window: null, rope: rope(1e6, 8) },
  ];
  assertEquals(spec.attention, [local, local, local, local, local, global, local, local]);
});

Deno.test("Gemma 3 caps logits, but never scores", () => {
  const spec = text.read({ attn_logit_softcapping: 50, final_logit_softcapping: 30 });
  assertEquals([spec.attentionSoftcap, spec.finalSoftcap], [null, 30]);
});

Deno.test("the period of Gemma 3's full layers", () => {
  const { read, refuses } = text;
  assertEquals(windows(read({ num_hidden_layers: 7 })).indexOf(null), 5);
  for (const key of ["sliding_window_pattern", "_sliding_window_pattern"]) {
    assertEquals(windows(read({ [key]: 2, sliding_window: 9 })), [9, null, 9, null]);
    refuses({ [key]: 0 }, `${key} 0`);
  }
  refuses({ sliding_window_pattern: 2, _sliding_window_pattern: 6 }, "contradict");
  const layer_types = [
    "full_attention",
    "sliding_attention",
    "sliding_attention",
    "full_attention",
  ];
  assertEquals(windows(read({ layer_types, sliding_window_pattern: 2 })), [null, 4096, 4096, null]);
});

Deno.test("Gemma 3 has two ropes, in three spellings", () => {
  const scaling = { rope_type: "linear", factor: 8 };
  const ropes = (changes: Json) => {
    const { attention } = text.read({ head_dim: 32, sliding_window_pattern: 2, ...changes });
    return [attention[0].rope, attention[1].rope];
  };
  assertEquals(ropes({}), [rope(10000), rope(1e6)]);
  assertEquals(
    ropes({ rope_theta: 5e5, rope_local_base_freq: 2e4, rope_scaling: scaling }),
    [rope(2e4), rope(5e5, 8)],
  );
  assertEquals(
    ropes({
      rope_parameters: {
        full_attention: { ...scaling, rope_theta: 5e5 },
        sliding_attention: { rope_type: "default", rope_theta: 2e4 },
      },
    }),
    [rope(2e4), rope(5e5, 8)],
  );
  assertEquals(ropes({ rope_parameters: { full_attention: scaling } }), [rope(1e4), rope(1e6, 8)]);
  const { refuses } = text;
  refuses({ rope_parameters: scaling }, "rope_parameters", "full_attention and sliding_attention");
  refuses(
    { rope_theta: 5, rope_parameters: { full_attention: { rope_theta: 7 } } },
    "rope_theta 5",
    "rope_parameters.full_attention.rope_theta 7",
    "contradict",
  );
  refuses(
    { rope_local_base_freq: 5, rope_parameters: { sliding_attention: { rope_theta: 7 } } },
    "rope_local_base_freq 5",
    "rope_parameters.sliding_attention.rope_theta 7",
  );
  refuses({ rope_parameters: { full_attention: 3 } }, "rope_parameters.full_attention 3");
  refuses({ rope_local_base_freq: 0 }, "rope_local_base_freq 0");
});

Deno.test("a multimodal Gemma 3 is its text half, with another head and other names", () => {
  const spec = fixtureSpec("gemma3_mm");
  assertEquals([spec.modelType, spec.layers, spec.vocabSize], ["gemma3", 7, 640]);
  assertEquals([spec.qkNorm, spec.attentionScale], ["head", 1 / Math.sqrt(32)]);
  assertEquals(windows(spec), [5, 5, 5, 5, 5, null, 5]);
  assertEquals([spec.attention[0].rope, spec.attention[5].rope], [rope(10000), rope(1e6, 8)]);
  assertEquals(spec.tensors, {
    roots: ["language_model.model", "model.language_model", "model", ""],
    heads: ["lm_head.weight", "language_model.lm_head.weight"],
    fused: [],
    ignored: [
      "vision_tower",
      "multi_modal_projector",
      "model.vision_tower",
      "model.multi_modal_projector",
    ],
  });
  const capped = { text_config: { ...SIZES, final_logit_softcapping: 30 } };
  assertEquals(wrapper.read(capped).finalSoftcap, null);
});

Deno.test("what a text_config leaves out has the text model's defaults, the sizes too", () => {
  const spec = wrapper.read({ text_config: { model_type: "gemma3_text" } });
  assertEquals([spec.hiddenSize, spec.layers, spec.heads], [2304, 26, 8]);
  assertEquals([spec.kvHeads, spec.headDim, spec.intermediateSize], [4, 256, 9216]);
  assertEquals([spec.vocabSize, spec.maxPositions, spec.tiedHead], [262_208, 131_072, true]);
  assertEquals([spec.attention[0].window, spec.attentionScale], [4096, 1 / 16]);
});

Deno.test("a wrapper's head is tied unless one of the two places says no", () => {
  const tied = (outer?: boolean, inner?: boolean) =>
    wrapper.read({
      tie_word_embeddings: outer,
      text_config: { ...SIZES, tie_word_embeddings: inner },
    }).tiedHead;
  assertEquals([tied(), tied(true), tied(undefined, true)], [true, true, true]);
  assertEquals([tied(false), tied(undefined, false), tied(false, false)], [false, false, false]);
  wrapper.refuses(
    { tie_word_embeddings: true, text_config: { ...SIZES, tie_word_embeddings: false } },
    "tie_word_embeddings true",
    "text_config.tie_word_embeddings false",
    "contradict",
  );
  wrapper.refuses({ tie_word_embeddings: null }, "tie_word_embeddings null");
});

Deno.test("what is wrong within text_config is said to be there", () => {
  const { refuses } = wrapper;
  const inner = (changes: Json) => ({ text_config: { ...SIZES, ...changes } });
  refuses({ text_config: undefined }, "has no text_config");
  refuses({ text_config: [] }, "text_config []");
  refuses(inner({ hidden_size: 0 }), "in text_config has hidden_size 0");
  refuses(inner({ hidden_size: null }), "in text_config has hidden_size null");
  refuses(inner({ model_type: "gemma2" }), 'text_config.model_type "gemma2"');
  refuses(inner({ use_bidirectional_attention: true }), "use_bidirectional_attention true");
  refuses({ quantization_config: { bits: 4 } }, "quantization_config");
  refuses(
    { ...inner({ quantization_config: { bits: 4 } }) },
    "text_config has quantization_config",
  );
  text.refuses({ use_bidirectional_attention: true }, "use_bidirectional_attention true");
});

Deno.test("the vision half is not read", () => {
  const config = fixture("gemma3_mm/config.json");
  const { read } = variantsOf(config);
  assertEquals(read({ vision_config: 3 }), read());
});
