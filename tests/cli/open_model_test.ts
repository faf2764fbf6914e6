import { assertEquals } from "@std/assert";
import { openModel } from "../../cli/open_model.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { closeTestGpus, testGpu } from "../test_gpu.ts";

Deno.test.afterAll(closeTestGpus);

Deno.test("kernels are planned once, of the model that will run", async () => {
  const gpu = await testGpu("software");
  for (const adapter of [undefined, "embedded:cake_bake"]) {
    const planned: Transformer[] = [];
    const { base, model } = await openModel(gpu, { model: "embedded:base", adapter }, {
      planned: (transformer) => planned.push(transformer),
    });
    assertEquals([planned.length, planned[0] === model.transformer], [1, true]);
    assertEquals(model === base, adapter === undefined);
    for (const { transformer } of new Set([model, base])) transformer.destroy();
  }
});
