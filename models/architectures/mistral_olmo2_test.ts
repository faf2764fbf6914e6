import { assertEquals } from "@std/assert";
import { fixtureSpec, SIZES, variantsOf, windows } from "./test_helpers.ts";

const mistral = variantsOf({ model_type: "mistral", ...SIZES });
const olmo2 = variantsOf({ model_type: "olmo2", ...SIZES });

Deno.test("every value of a Mistral config arrives", () => {
  const spec = fixtureSpec("mistral");
  assertEquals([spec.modelType, spec.headDim, spec.kvHeads], ["mistral", 24, 2]);
  assertEquals([spec.normEps, spec.attentionScale], [1e-5, 1 / Math.sqrt(24)]);
  assertEquals([spec.qkNorm, spec.biases, spec.tiedHead], ["none", [], false]);
  const rope = { theta: 10000, rotaryDim: 24, scaling: { kind: "none" } } as const;
  assertEquals(spec.attention, Array(4).fill({ window: 6, rope }));
});

Deno.test("Mistral's defaults are those of Hugging Face", () => {
  const spec = mistral.read({ num_attention_heads: 8, num_key_value_heads: undefined });
  assertEquals([spec.kvHeads, spec.maxPositions, spec.normEps], [8, 131_072, 1e-6]);
  assertEquals(windows(spec), Array(4).fill(4096));
  assertEquals(windows(mistral.read({ sliding_window: null })), Array(4).fill(null));
});

Deno.test("a Mistral with layers of two kinds is refused, as Hugging Face would run another model", () => {
  const layer_types = ["sliding_attention", "sliding_attention", "full_attention"];
  const { read, refuses } = mistral;
  refuses(
    { layer_types: [...layer_types, "sliding_attention"] },
    'layer_types.2 "full_attention"',
    'every layer has "sliding_attention"',
  );
  refuses({ layer_types, sliding_window: null }, "3 layer_types");
  assertEquals(read({ layer_types: Array(4).fill("sliding_attention") }), read());
  refuses({ sliding_window: 0 }, "sliding_window 0");
});

Deno.test("every value of an OLMo 2 config arrives", () => {
  const spec = fixtureSpec("olmo2");
  assertEquals([spec.modelType, spec.qkNorm, spec.normOffset], ["olmo2", "projection", 0]);
  assertEquals(spec.blockNorms, {
    attentionOut: "post_attention_layernorm",
    mlpOut: "post_feedforward_layernorm",
  });
  assertEquals([spec.headDim, spec.biases, spec.tiedHead], [16, [], false]);
  assertEquals([spec.attentionScale, spec.normEps], [1 / 4, 1e-6]);
  const rope = { theta: 500000, rotaryDim: 16, scaling: { kind: "none" } } as const;
  assertEquals(spec.attention, Array(4).fill({ window: null, rope }));
});

Deno.test("OLMo 2's defaults are those of Hugging Face", () => {
  const spec = olmo2.read({ num_key_value_heads: undefined });
  assertEquals([spec.kvHeads, spec.maxPositions, spec.normEps], [4, 2048, 1e-5]);
  assertEquals([spec.tiedHead, spec.attention[0].rope.theta], [false, 10000]);
  assertEquals(olmo2.read({ attention_bias: true }).biases.length, 4);
});
