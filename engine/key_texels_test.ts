import { assertEquals } from "@std/assert";
import { fixtureModel } from "../tests/helpers.ts";
import { assertSameBits, closeTestGpus, testGpu } from "../tests/test_gpu.ts";
import type { KeyPlacement } from "./batch.ts";
import { KvCache } from "./kv_cache.ts";
import type { Transformer } from "./transformer.ts";

Deno.test.afterAll(closeTestGpus);

const token = (model: Transformer, seed: number, i: number) =>
  (seed * 7919 + i * 104_729 + 17) % model.spec.vocabSize;

/** Logits of each token but the prompt's, fed one by one through the cache. */
async function steps(model: Transformer, cache: KvCache, ids: number[], prompt: number) {
  const place = (ownLength: number): KeyPlacement => ({
    prefixStart: 0,
    prefixLength: 0,
    ownStart: 3,
    ownLength,
  });
  await model.forward(model.batch([ids.slice(0, prompt)], [place(0)]), { cache });
  const found: Float32Array<ArrayBuffer>[] = [];
  for (let i = prompt; i < ids.length; i++) {
    const batch = model.batch([[ids[i]]], [place(i)]);
    const captured = await model.forward(batch, { cache, capture: ["logits"] });
    found.push(await captured.get("logits").read());
    captured.release();
  }
  return found;
}

Deno.test("steps have the bits of full passes, whatever of the keys is in textures", async () => {
  const gpu = await testGpu("software");
  for (const name of ["qwen3_tied", "mistral"]) {
    const model = await fixtureModel(gpu, name);
    const cache = new KvCache(gpu, model.spec, 200);
    assertEquals(cache.texels!.layers.length, model.spec.layers);
    // The second text's keys take the place of the first's.
    for (const seed of [1, 2]) {
      const ids = Array.from({ length: 160 }, (_, i) => token(model, seed, i));
      const found = await steps(model, cache, ids, 120);
      const captured = await model.forward(model.batch([ids]), { capture: ["logits"] });
      const whole = await captured.get("logits").read();
      captured.release();
      const { vocabSize } = model.spec;
      found.forEach((logits, i) =>
        assertSameBits(
          logits,
          whole.slice((120 + i) * vocabSize, (121 + i) * vocabSize),
          `${name}, text ${seed}, token ${120 + i}`,
        )
      );
    }
    cache.destroy();
    model.destroy();
  }
});

Deno.test("textures get the rows that many steps have written, and forget those that are written again", async () => {
  const gpu = await testGpu("software");
  const model = await fixtureModel(gpu, "qwen3_tied");
  const cache = new KvCache(gpu, model.spec, 100);
  const recorder = gpu.record();
  const held = (
    places: KeyPlacement[],
  ) => [
    ...cache.texels!.hold(recorder, model.batch(places.map(() => [0]), places), cache.layers()),
  ];
  const place = (ownLength: number, prefixLength = 0, ownStart = 10): KeyPlacement => ({
    prefixStart: 60,
    prefixLength,
    ownStart,
    ownLength,
  });
  const perBringing = model.spec.layers;
  assertEquals(held([place(5)]), [0]); // too few to be worth it
  assertEquals(recorder.dispatches, 0);
  assertEquals(held([place(20)]), [20]);
  assertEquals(recorder.dispatches, perBringing);
  assertEquals(held([place(36)]), [20]);
  assertEquals(recorder.dispatches, perBringing);
  assertEquals(held([place(37), place(37, 4)]), [37, 41]);
  assertEquals(recorder.dispatches, 2 * perBringing);
  cache.texels!.written([40]);
  assertEquals(held([place(37)]), [30]);
  cache.texels!.written([10]);
  assertEquals(held([place(37), place(3, 4)]), [37, 7]);
  recorder.close();
  cache.destroy();
  model.destroy();
});
