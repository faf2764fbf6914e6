import { assertEquals } from "@std/assert";
import { fixtureSpec, SIZES, variantsOf, windows } from "./test_helpers.ts";

const QKV = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"] as const;

const qwen2 = variantsOf({ model_type: "qwen2", ...SIZES });
const qwen3 = variantsOf({ model_type: "qwen3", ...SIZES });

Deno.test("Qwen 2 has biases on q, k and v, and otherwise Llama's blocks", () => {
  for (const model of ["qwen2_tied", "qwen2_untied", "qwen2_swa"]) {
    const spec = fixtureSpec(model);
    assertEquals([spec.modelType, spec.qkNorm, spec.biases], ["qwen2", "none", QKV]);
    assertEquals(spec.blockNorms, {
      attentionIn: "input_layernorm",
      mlpIn: "post_attention_layernorm",
    });
    assertEquals(spec.attention[0].rope, {
      theta: 1e6,
      rotaryDim: 16,
      scaling: { kind: "none" },
    });
    assertEquals([spec.attentionScale, spec.embeddingScale, spec.normOffset], [1 / 4, 1, 0]);
    assertEquals(spec.tiedHead, model !== "qwen2_untied");
  }
  assertEquals(windows(fixtureSpec("qwen2_tied")), [null, null, null, null]);
  assertEquals(windows(fixtureSpec("qwen2_swa")), [null, null, 7, 7]);
});

Deno.test("Qwen 3 norms each head of q and k", () => {
  const spec = fixtureSpec("qwen3_untied");
  assertEquals([spec.modelType, spec.qkNorm, spec.biases], ["qwen3", "head", []]);
  assertEquals([spec.headDim, spec.kvHeads, spec.tiedHead], [48, 1, false]);
  assertEquals([spec.attentionScale, spec.attention[4].rope.rotaryDim], [1 / Math.sqrt(48), 48]);
  assertEquals(windows(spec), Array(5).fill(null));
  assertEquals(fixtureSpec("qwen3_tied").tiedHead, true);
  assertEquals(qwen3.read({ attention_bias: true }).biases, [...QKV, "self_attn.o_proj"]);
});

Deno.test("Qwen's defaults are those of Hugging Face", () => {
  const heads = { num_attention_heads: 64, num_key_value_heads: undefined };
  const spec = qwen2.read({ ...heads, head_dim: 4 });
  assertEquals([spec.kvHeads, spec.maxPositions, spec.normEps], [32, 32768, 1e-6]);
  assertEquals([spec.tiedHead, spec.attention[0].rope.theta], [false, 10000]);
  assertEquals(qwen2.read().headDim, 16);
  assertEquals(qwen3.read().headDim, 128);
  assertEquals(qwen3.read({ head_dim: null }).headDim, 16);
  qwen2.refuses({ num_key_value_heads: undefined }, "num_key_value_heads 32");
});

Deno.test("Qwen's layers slide from max_window_layers on, if they are to slide at all", () => {
  for (const { read, refuses } of [qwen2, qwen3]) {
    const on = { use_sliding_window: true };
    assertEquals(windows(read({ sliding_window: 8, max_window_layers: 1 })), Array(4).fill(null));
    assertEquals(windows(read({ ...on, max_window_layers: 3 })), [null, null, null, 4096]);
    assertEquals(
      windows(read({ ...on, sliding_window: 8, max_window_layers: 0 })),
      [8, 8, 8, 8],
    );
    assertEquals(windows(read({ ...on, sliding_window: 8 })), Array(4).fill(null));
    assertEquals(
      windows(read({ ...on, sliding_window: null, max_window_layers: 0 })),
      Array(4).fill(null),
    );
    const layer_types = [
      "sliding_attention",
      "full_attention",
      "full_attention",
      "sliding_attention",
    ];
    assertEquals(windows(read({ ...on, sliding_window: 8, layer_types })), [8, null, null, 8]);
    refuses({ layer_types }, 'layer_types.0 "sliding_attention"', "use_sliding_window");
    refuses({ ...on, layer_types, sliding_window: null }, "no sliding_window", "layer 0");
    for (const window of [0, -1, 1.5, "8"]) {
      refuses({ ...on, sliding_window: window }, "sliding_window ", "a whole number from 1");
    }
  }
});

Deno.test("layer_types of a wrong length or kind", () => {
  qwen2.refuses({ layer_types: ["full_attention"] }, "1 layer_types", "num_hidden_layers 4");
  const layer_types = ["full_attention", "full_attention", "chunked_attention", 3];
  qwen2.refuses(
    { layer_types },
    'layer_types.2 "chunked_attention"',
    '"full_attention" and "sliding_attention"',
  );
  qwen2.refuses({ layer_types: "full_attention" }, 'layer_types "full_attention"', "a list");
});
