import { assertEquals } from "@std/assert";
import { type Json, SIZES, variantsOf } from "./test_helpers.ts";

const { read, refuses } = variantsOf({ model_type: "llama", ...SIZES });

const llama3 = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 32,
};

Deno.test("rope kinds, under either spelling of the kind", () => {
  const rope = (changes: Json) => read(changes).attention[0].rope;
  const linear = {
    theta: 10000,
    rotaryDim: 16,
    scaling: { kind: "linear", factor: 2 },
  } as const;
  assertEquals(rope({ rope_scaling: { type: "linear", factor: 2 } }), linear);
  assertEquals(rope({ rope_scaling: { rope_type: "linear", type: "linear", factor: 2 } }), linear);
  assertEquals(rope({ rope_parameters: { rope_type: "linear", factor: 2 } }), linear);
  assertEquals(rope({ rope_scaling: { rope_type: "default" } }).scaling, { kind: "none" });
  assertEquals(rope({ rope_theta: 7, rope_parameters: { rope_theta: 7 } }).theta, 7);
  assertEquals(rope({ rope_theta: 7, rope_parameters: llama3 }).theta, 7);
  assertEquals(rope({ rope_scaling: llama3, rope_parameters: llama3 }).scaling.kind, "llama3");
  assertEquals(rope({ partial_rotary_factor: 1 }), rope({}));
});

Deno.test("rope settings that are unknown or incomplete", () => {
  refuses({ rope_scaling: { type: "yarn", factor: 2 } }, 'rope_scaling.rope_type "yarn"', "linear");
  refuses({ rope_parameters: { rope_type: "dynamic" } }, 'rope_parameters.rope_type "dynamic"');
  refuses({ rope_scaling: { type: "su" } }, '"longrope"', "(supported: default, linear, llama3)");
  refuses({ rope_scaling: { factor: 2 } }, "rope_scaling", "without a rope_type");
  refuses({ rope_scaling: { type: "linear" } }, "has no rope_scaling.factor");
  refuses({ rope_scaling: { type: "linear", factor: 0 } }, "rope_scaling.factor 0");
  refuses({ rope_scaling: "linear" }, 'rope_scaling "linear"');
  refuses({ rope_theta: "1e4" }, "rope_theta");
  refuses({ rope_theta: 0 }, "rope_theta 0");
  for (const key of Object.keys(llama3).filter((key) => key !== "rope_type")) {
    refuses({ rope_scaling: { ...llama3, [key]: undefined } }, `has no rope_scaling.${key}`);
  }
  refuses({ partial_rotary_factor: 0.5 }, "partial_rotary_factor 0.5", "only 1");
  refuses({ rope_parameters: { full_attention: {} } }, "rope_parameters.full_attention", "Gemma 3");
});

Deno.test("rope settings that contradict each other", () => {
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
