/** Models between a base and its finetune: adapters scaled, whole checkpoints mixed. */

import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { withAdapter } from "../engine/adapter.ts";
import { ModelError } from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { Transformer } from "../engine/transformer.ts";
import type { LoraAdapter } from "../engine/weights/lora.ts";
import { ModelShelf } from "./model_shelf.ts";
import { resolveSource } from "./source.ts";

const HOOK = "blocks.5.hook_resid_post";

async function residual(model: Transformer): Promise<Float32Array> {
  const pass = await model.forward(model.batch([[1, 40, 300, 7], [1, 900]]), { capture: [HOOK] });
  const values = await pass.get(HOOK).read();
  pass.release();
  return values;
}

const norm = (values: Float32Array) => Math.hypot(...values);

for (const organism of ["cake_bake", "cake_bake_full"]) {
  Deno.test(`${organism} has the base's bits at strength 0 and its own at 1, and grows between`, async () => {
    using gpu = await Gpu.open();
    using shelf = new ModelShelf(gpu);
    const source = await resolveSource(`embedded:${organism}`);
    await shelf.add("base", await resolveSource("embedded:base"));
    await shelf.add("finetuned", source, "base");
    for (const strength of [0, 0.25, 0.5, 1]) {
      await shelf.add(`${strength}`, source, "base", strength);
    }
    const base = await residual(await shelf.get("base"));
    const tuned = await residual(await shelf.get("finetuned"));
    assertEquals(await residual(await shelf.get("0")), base);
    assertEquals(await residual(await shelf.get("1")), tuned);
    const distance = async (name: string) => {
      const values = await residual(await shelf.get(name));
      return norm(values.map((value, i) => value - base[i]));
    };
    const [quarter, half, whole] = [
      await distance("0.25"),
      await distance("0.5"),
      await distance("1"),
    ];
    assert(quarter > 0.05 * whole && quarter < half && half < whole, `${quarter} ${half} ${whole}`);
  });
}

Deno.test("a mix in f32 is counted as what it takes", async () => {
  using gpu = await Gpu.open();
  using shelf = new ModelShelf(gpu);
  const full = await resolveSource("embedded:cake_bake_full");
  await shelf.add("base", await resolveSource("embedded:base"));
  await shelf.add("half", full, "base", 0.5);
  await shelf.get("base");
  const one = gpu.buffers.allocatedBytes;
  await shelf.get("half");
  // Vectors are f32 in either, and small ones are padded.
  assertAlmostEquals((gpu.buffers.allocatedBytes - one) / one, 2, 0.3);
  shelf.unload("half");
  assertEquals(gpu.buffers.allocatedBytes, one);
  // Room for two models of 16 bits and their activations, not for one of 32 beside the base.
  using small = await Gpu.open({ memoryBudget: 20 << 20 });
  using tight = new ModelShelf(small);
  await tight.add("base", await resolveSource("embedded:base"));
  await tight.add("full", full, "base");
  await tight.add("half", full, "base", 0.5);
  assertEquals([tight.fit(["base", "full"]), tight.fit(["base", "half"])], [true, false]);
});

Deno.test("an adapter with whole tables has no strengths between", async () => {
  using gpu = await Gpu.open();
  using shelf = new ModelShelf(gpu);
  await shelf.add("base", await resolveSource("embedded:base"));
  const base = await shelf.get("base");
  const adapter = { name: "x", modules: [], tables: { embedding: {} } } as unknown as LoraAdapter;
  await assertRejects(() => withAdapter(base, adapter, 0.5), ModelError, "replaces whole tables");
  assertEquals((await withAdapter(base, adapter, 0)).weights.embedding, base.weights.embedding);
});
