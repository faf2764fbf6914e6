import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ModelError, OutOfMemoryError } from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { ModelShelf } from "./model_shelf.ts";
import { resolveSource } from "./source.ts";

/** Room for one of the embedded models and its activations, not for two. */
const BUDGET = 16 << 20;

async function shelfOf(gpu: Gpu, models: Record<string, string>): Promise<ModelShelf> {
  const shelf = new ModelShelf(gpu);
  for (const [name, ref] of Object.entries(models)) {
    await shelf.add(name, await resolveSource(ref), name === "base" ? undefined : "base");
  }
  return shelf;
}

const FULL = { base: "embedded:base", finetuned: "embedded:cake_bake_full" };
const ADAPTED = { base: "embedded:base", finetuned: "embedded:cake_bake" };

Deno.test("models are loaded when they are asked for, and stay while there is room", async () => {
  using gpu = await Gpu.open();
  using shelf = await shelfOf(gpu, FULL);
  assertEquals(gpu.buffers.allocatedBytes, 0);
  const base = await shelf.get("base");
  const one = gpu.buffers.allocatedBytes;
  assert(one > 5e6, `${one}`);
  await shelf.get("finetuned");
  assertEquals(gpu.buffers.allocatedBytes, 2 * one);
  assertStrictEquals(await shelf.get("base"), base);
  assertEquals(shelf.pair("base", "finetuned").together, true);
  shelf.unload("finetuned");
  assertEquals(gpu.buffers.allocatedBytes, one);
});

Deno.test("where two do not fit, one makes room for the other", async () => {
  using gpu = await Gpu.open({ memoryBudget: BUDGET });
  using shelf = await shelfOf(gpu, FULL);
  assertEquals(shelf.pair("base", "finetuned").together, false);
  await shelf.get("base");
  const one = gpu.buffers.allocatedBytes;
  for (const name of ["finetuned", "base", "finetuned"]) {
    await shelf.get(name);
    assertEquals(gpu.buffers.allocatedBytes, one, name);
  }
});

Deno.test("an adapter lies on its base: both stay, and go together", async () => {
  using gpu = await Gpu.open({ memoryBudget: BUDGET });
  using shelf = await shelfOf(gpu, { ...ADAPTED, full: FULL.finetuned });
  assertEquals(shelf.pair("base", "finetuned").together, true);
  const tuned = await shelf.get("finetuned");
  assertStrictEquals((await shelf.get("base")).weights.embedding, tuned.weights.embedding);
  await shelf.get("full"); // takes the base's room, so the adapter goes too
  const again = await shelf.get("finetuned");
  assert(again !== tuned);
  assertStrictEquals((await shelf.get("base")).weights.embedding, again.weights.embedding);
});

Deno.test("what does not fit alone, and what does not belong together, is refused", async () => {
  using small = await Gpu.open({ memoryBudget: 64 << 10 });
  using shelf = await shelfOf(small, FULL);
  await assertRejects(() => shelf.get("base"), OutOfMemoryError);
  using gpu = await Gpu.open();
  const empty = new ModelShelf(gpu);
  const adapter = await resolveSource("embedded:cake_bake");
  await assertRejects(() => empty.add("base", adapter), ModelError, "it is a LoRA adapter");
  await assertRejects(() => empty.get("base"), ModelError, '"base"');
});
