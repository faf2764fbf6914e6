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

Deno.test("many sequences at once have the bits of full passes, and leave textures as few of them need them", async () => {
  const gpu = await testGpu("software");
  // Norms of heads; windows, within one of which the prefix is only at first, and another prefix for some; caps.
  for (const [name, prompt] of [["qwen3_tied", 70], ["mistral", 66], ["gemma2", 64]] as const) {
    const model = await fixtureModel(gpu, name);
    const cache = new KvCache(gpu, model.spec, 400);
    const shared = Array.from({ length: prompt }, (_, i) => token(model, 9, i));
    await model.forward(
      model.batch([shared], [{ prefixStart: 0, prefixLength: 0, ownStart: 300, ownLength: 0 }]),
      { cache },
    );
    const sequences = 11;
    const place = (s: number, ownLength: number): KeyPlacement => ({
      prefixStart: 300,
      prefixLength: s === 5 ? 40 : prompt,
      ownStart: 25 * s,
      ownLength,
    });
    const ids = Array.from(
      { length: sequences },
      (_, s) => Array.from({ length: 20 }, (_, i) => token(model, s + 20, i)),
    );
    const found = ids.map((): Float32Array<ArrayBuffer>[] => []);
    // All of them, then a few, then all again.
    const everyone = ids.map((_, s) => s);
    for (let i = 0; i < 20; i++) {
      const some = i >= 6 && i < 9 ? [0, 3, 5] : everyone;
      const here = some.map((s) => ({ s, step: found[s].length }));
      const batch = model.batch(
        here.map(({ s, step }) => [ids[s][step]]),
        here.map(({ s, step }) => place(s, step)),
      );
      const captured = await model.forward(batch, { cache, capture: ["logits"] });
      const logits = await captured.get("logits").read();
      captured.release();
      const { vocabSize } = model.spec;
      here.forEach(({ s }, row) =>
        found[s].push(logits.slice(row * vocabSize, (row + 1) * vocabSize))
      );
    }
    for (const s of [0, 1, 5, 10]) {
      const { prefixLength } = place(s, 0);
      const whole = [...shared.slice(0, prefixLength), ...ids[s].slice(0, found[s].length)];
      const captured = await model.forward(model.batch([whole]), { capture: ["logits"] });
      const all = await captured.get("logits").read();
      captured.release();
      const { vocabSize } = model.spec;
      found[s].forEach((logits, i) => {
        const at = (prefixLength + i) * vocabSize;
        assertSameBits(logits, all.slice(at, at + vocabSize), `${name}, sequence ${s}, step ${i}`);
      });
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
  const held = (places: KeyPlacement[], all = false) => {
    const batch = model.batch(places.map(() => [0]), places);
    return [...cache.texels!.hold(recorder, batch, cache.layers(), all)];
  };
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
  // Who needs all has a single missing one brought; what is written to both is not missing.
  assertEquals(held([place(38)]), [37]);
  assertEquals(held([place(38)], true), [38]);
  cache.texels!.written([48, 49], true);
  const before = recorder.dispatches;
  assertEquals(held([place(40)], true), [40]);
  assertEquals(recorder.dispatches, before);
  recorder.close();
  cache.destroy();
  model.destroy();
});
