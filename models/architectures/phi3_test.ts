import { assertAlmostEquals, assertEquals } from "@std/assert";
import { fixtureSpec, type Json, SIZES, variantsOf, windows } from "./test_helpers.ts";

const { read, refuses } = variantsOf({ model_type: "phi3", ...SIZES });

/** For the 16 dimensions of a head of `SIZES`. */
const short_factor = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5];
const longrope = { type: "longrope", short_factor, long_factor: short_factor };
const contexts = { max_position_embeddings: 131_072, original_max_position_embeddings: 4096 };

Deno.test("every value of a Phi-3 config arrives", () => {
  const spec = fixtureSpec("phi3");
  assertEquals([spec.modelType, spec.headDim, spec.normEps], ["phi3", 16, 1e-5]);
  assertEquals([spec.biases, spec.tiedHead, spec.maxPositions], [[], false, 256]);
  assertEquals(spec.attentionScale, 1 / 4, "of the whole head, not of what turns");
  const rope = { theta: 10000, rotaryDim: 12, scaling: { kind: "none" } } as const;
  assertEquals(spec.attention, Array(4).fill({ window: 9, rope }));
  assertEquals(spec.tensors, {
    roots: ["model", ""],
    heads: ["lm_head.weight"],
    fused: [
      {
        module: "self_attn.qkv_proj",
        linears: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
      },
      { module: "mlp.gate_up_proj", linears: ["mlp.gate_proj", "mlp.up_proj"] },
    ],
  });
});

Deno.test("Phi-3's defaults are those of Hugging Face", () => {
  const spec = read({ num_key_value_heads: undefined });
  assertEquals([spec.kvHeads, spec.maxPositions, spec.normEps], [4, 4096, 1e-5]);
  assertEquals([spec.attention[0].rope.rotaryDim, spec.tiedHead], [16, false]);
  assertEquals(windows(spec), Array(4).fill(null));
  assertEquals(read({ attention_bias: true }).biases, [], "which Hugging Face does not read");
});

Deno.test("the part of a head that turns is rounded down, and even", () => {
  const turns = (changes: Json) => read(changes).attention[0].rope.rotaryDim;
  assertEquals(turns({ partial_rotary_factor: 0.65 }), 10);
  assertEquals(turns({ rope_parameters: { partial_rotary_factor: 0.25 } }), 4);
  refuses({ partial_rotary_factor: 0.5625 }, "partial_rotary_factor 0.5625", "9 of", "even");
  refuses({ partial_rotary_factor: 0 }, "partial_rotary_factor 0");
  refuses({ partial_rotary_factor: 1.5 }, "partial_rotary_factor 1.5");
  refuses(
    { partial_rotary_factor: 0.5, rope_parameters: { partial_rotary_factor: 0.25 } },
    "rope_parameters.partial_rotary_factor 0.25",
    "contradict",
  );
});

Deno.test("longrope is its short table, for the original contexts only", () => {
  const spec = read({ ...contexts, rope_scaling: longrope });
  const { scaling } = spec.attention[0].rope;
  if (scaling.kind !== "longrope") throw new Error(scaling.kind);
  assertEquals(scaling.factors, short_factor);
  assertAlmostEquals(scaling.attentionFactor, 1.1902380714238083, 1e-12); // √(1 + ln 32 / ln 4096)
  assertEquals(spec.maxPositions, 4096);
  assertEquals(read({ ...contexts, rope_scaling: { ...longrope, type: "su" } }), spec);
  const parameters = { ...longrope, type: undefined, rope_type: "longrope", rope_theta: 10000 };
  const original = { original_max_position_embeddings: 4096 };
  assertEquals(
    read({ ...contexts, rope_parameters: { ...parameters, ...original, factor: 32 } }),
    spec,
  );
  assertEquals(
    read({ max_position_embeddings: 131_072, rope_parameters: parameters }),
    spec,
    "4096 is the default",
  );
});

Deno.test("longrope's factor of attention", () => {
  const attentionFactor = (changes: Json, rope: Json = {}) => {
    const { scaling } =
      read({ ...contexts, ...changes, rope_scaling: { ...longrope, ...rope } }).attention[0].rope;
    return scaling.kind === "longrope" && scaling.attentionFactor;
  };
  assertEquals(attentionFactor({}, { attention_factor: 1.25 }), 1.25);
  assertEquals(attentionFactor({ max_position_embeddings: 4096 }), 1);
  assertEquals(attentionFactor({ max_position_embeddings: 2048 }), 1);
  assertEquals(read({ max_position_embeddings: 2048, rope_scaling: longrope }).maxPositions, 2048);
});

Deno.test("longrope settings that are incomplete, contradictory or out of range", () => {
  const refusesRope = (changes: Json, ...says: string[]) =>
    refuses({ ...contexts, rope_scaling: { ...longrope, ...changes } }, ...says);
  refusesRope({ short_factor: undefined }, "has no rope_scaling.short_factor");
  refusesRope({ short_factor: [1, 2] }, "2 numbers in rope_scaling.short_factor", "expected 8");
  refusesRope({ short_factor: [...short_factor.slice(1), 0] }, "rope_scaling.short_factor.7 0");
  refusesRope({ short_factor: [..."12345678"] }, 'rope_scaling.short_factor.0 "1"');
  refusesRope({ factor: 16 }, "rope_scaling.factor 16", "32", "contradict");
  refusesRope({ attention_factor: "1" }, 'rope_scaling.attention_factor "1"');
  refusesRope({ original_max_position_embeddings: 8192 }, "4096", "8192", "contradict");
  refusesRope({ type: "yarn" }, 'rope_scaling.rope_type "yarn"', "llama3, longrope");
  refusesRope({ type: undefined }, "without a rope_type");
  refuses(
    { ...contexts, original_max_position_embeddings: 1, rope_scaling: longrope },
    "original_max_position_embeddings 1",
  );
  const long = { ...longrope, short_factor: Array(64).fill(1.25) };
  const other = { ...long, short_factor: [...long.short_factor.slice(1), 9] };
  refuses({ rope_scaling: long, rope_parameters: other }, "short_factor", "contradict");
});
