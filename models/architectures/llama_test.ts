import { assertEquals } from "@std/assert";
import { fixtureSpec, SIZES, variantsOf } from "./test_helpers.ts";

const { read, refuses } = variantsOf({ model_type: "llama", ...SIZES });

Deno.test("every value of a Llama 3 config arrives", () => {
  const rope = {
    theta: 500000,
    rotaryDim: 24,
    scaling: {
      kind: "llama3",
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 32,
    },
  } as const;
  assertEquals(fixtureSpec("llama3_tied"), {
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
    normOffset: 0,
    blockNorms: { attentionIn: "input_layernorm", mlpIn: "post_attention_layernorm" },
    qkNorm: "none",
    biases: [],
    activation: "silu",
    embeddingScale: 1,
    attentionScale: 1 / Math.sqrt(24),
    attentionSoftcap: null,
    finalSoftcap: null,
    attention: Array(4).fill({ window: null, rope }),
    tiedHead: true,
    tensors: { roots: ["model", ""], heads: ["lm_head.weight"], fused: [] },
  });
  const untied = fixtureSpec("llama3_untied");
  assertEquals([untied.tiedHead, untied.layers, untied.vocabSize], [false, 5, 768]);
  const mha = fixtureSpec("llama2_mha");
  assertEquals([mha.heads, mha.kvHeads, mha.headDim], [4, 4, 16]);
  assertEquals(mha.attention[3].rope, { theta: 1e4, rotaryDim: 16, scaling: { kind: "none" } });
});

Deno.test("Llama's defaults are those of Hugging Face", () => {
  const spec = read({ num_key_value_heads: undefined });
  assertEquals([spec.kvHeads, spec.headDim, spec.maxPositions], [4, 16, 2048]);
  assertEquals([spec.normEps, spec.tiedHead, spec.activation], [1e-6, false, "silu"]);
  assertEquals(spec.attention[0].rope.theta, 10000);
  assertEquals(read({ head_dim: null, rope_scaling: null, tie_word_embeddings: null }), read());
});

Deno.test("Llama's biases", () => {
  const attention = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
  ] as const;
  const mlp = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"] as const;
  assertEquals(read({ attention_bias: true }).biases, attention);
  assertEquals(read({ mlp_bias: true }).biases, mlp);
  assertEquals(read({ attention_bias: true, mlp_bias: true }).biases, [...attention, ...mlp]);
  assertEquals(read({ attention_bias: null, mlp_bias: false }).biases, []);
  refuses({ attention_bias: 1 }, "attention_bias 1");
});

Deno.test("Llama has no windows", () => {
  assertEquals(read({ sliding_window: 0, layer_types: Array(4).fill("full_attention") }), read());
  refuses(
    { layer_types: ["full_attention", "sliding_attention", "full_attention", "full_attention"] },
    'layer_types.1 "sliding_attention"',
  );
});
