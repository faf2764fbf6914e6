import { assertEquals, assertStrictEquals } from "@std/assert";
import { type AdapterUse, dawnInstance } from "./backend.ts";

/** What is passed to Dawn's `create` for these uses, one after the other, and the instances that they get. */
function optionsFor(...uses: AdapterUse[]) {
  const passed: string[][] = [];
  const create = (options: string[]) => {
    passed.push(options);
    return { options };
  };
  const made = new Map<string, GPU>();
  return { instances: uses.map((use) => dawnInstance(create, use, made)), passed };
}

Deno.test("Dawn is told to offer f16 on every card, and subgroup matrices, in fast mode only", () => {
  const half = [
    "enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis,use_vulkan_memory_model",
  ];
  assertEquals(optionsFor({}).passed, [[]]);
  assertEquals(optionsFor({ precision: "f32", both: false }).passed, [[]]);
  assertEquals(optionsFor({ precision: "fast" }).passed, [half]);
  assertEquals(optionsFor({ both: true }).passed, [half]);
});

Deno.test("Dawn has one instance for each set of toggles, and each lives on", () => {
  const { instances, passed } = optionsFor({}, { precision: "fast" }, {}, { both: true });
  assertEquals(passed.length, 2);
  assertStrictEquals(instances[2], instances[0]);
  assertStrictEquals(instances[3], instances[1]);
});
