import { assert, assertEquals } from "@std/assert";
import { closeTestGpus, testGpu } from "../tests/test_gpu.ts";
import { BlockProducts } from "./block_products.ts";
import { bytesOf } from "./gpu/texels.ts";
import { Scratch } from "./scratch.ts";
import type { Linear } from "./weights/model_weights.ts";

Deno.test.afterAll(closeTestGpus);

/** What is known of a packed layer's sizes, and whether it is adapted. */
function linear(rows: number, columns: number, adapted = false): Linear {
  const lora = adapted ? {} : undefined;
  return { packed: { rows, columns }, lora } as unknown as Linear;
}

Deno.test("rows go to a texture where their product is sure to read them from one", async () => {
  const gpu = await testGpu("software");
  const recorder = gpu.record();
  const room = (tokens: number, one: Linear) => {
    const scratch = new Scratch(gpu, tokens);
    const texture = new BlockProducts(recorder, scratch, tokens, 1e-5).texelsFor(one);
    scratch.dropAll();
    return texture;
  };
  const texture = room(64, linear(88, 4096));
  assert(texture && bytesOf(texture) >= 4 * 64 * 4096);
  assertEquals(room(64, linear(88, 4096)), texture, "it was given back");
  // Few rows have a kernel of their own; outputs that are no whole vec4s, and adapters, may have to go step by step.
  assertEquals(room(4, linear(88, 64)), undefined);
  assertEquals(room(64, linear(90, 64)), undefined);
  assertEquals(room(64, linear(88, 64, true)), undefined);
  assertEquals(room(64, { ...linear(88, 64), packed: undefined }), undefined);
  assertEquals(room(64, linear(88, gpu.texels.largest / 4 / 64 + 8)), undefined);
  recorder.close();
});
