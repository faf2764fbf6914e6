/** Products under an adapter: what it adds goes with them in one dispatch, with the bits that it has step by step. */

import { assertEquals } from "@std/assert";
import { Gpu } from "../engine/gpu/gpu.ts";
import { DEVICE_PROFILES } from "../engine/gpu/profile.ts";
import { Tuning } from "../engine/gpu/tuning.ts";
import { KvCache } from "../engine/kv_cache.ts";
import type { Transformer } from "../engine/transformer.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { LAYER } from "./embedded_helpers.ts";
import { assertSameRun, type Run, run, someTokens } from "./helpers.ts";
import { recorded } from "./hooks_helpers.ts";

const hook = (point: string) => `blocks.${LAYER}.${point}`;

/** With it products are not fused, and an adapter's share is two steps of its own. */
const STEPPED = Tuning.always("matmul", "rows 8");

/** The embedded base and an organism of rank 16 on all linear layers. */
async function pair(gpu: Gpu, stream = false): Promise<[Transformer, Transformer]> {
  const base = await loadModel(gpu, await resolveSource("embedded:base"), { stream });
  const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
  return [base.transformer, tuned.transformer];
}

for (const profile of DEVICE_PROFILES) {
  Deno.test(`an adapter costs a dispatch for each input of its factors A, with few rows another for the sum (${profile})`, async () => {
    using gpu = await Gpu.open({ profile });
    const [base, tuned] = await pair(gpu);
    const dispatches = (model: Transformer, tokens: number, hooks: string[]) => {
      const batch = model.batch([someTokens(model, tokens, 1)]);
      return recorded(model, batch, { capture: hooks }).dispatches;
    };
    const apart = (tokens: number, hooks: string[]) =>
      dispatches(tuned, tokens, hooks) - dispatches(base, tokens, hooks);
    const layers = LAYER + 1;
    assertEquals(dispatches(base, 1, [hook("hook_resid_post")]), 1 + 5 * layers);
    assertEquals(apart(1, [hook("hook_resid_post")]), 4 * 2 * layers);
    if (profile === "software") {
      assertEquals(apart(100, [hook("hook_resid_post")]), 4 * layers);
      // Somebody who looks at what a sublayer adds gets the adapter's share with it.
      assertEquals(apart(100, [hook("hook_attn_out"), hook("hook_resid_post")]), 4 * layers);
    }
    for (const model of [tuned, base]) model.destroy();
  });
}

Deno.test("adapted products have the bits of their steps, whatever the number of rows", async () => {
  const capture = ["hook_attn_out", "hook_mlp_out", "hook_resid_post"].map(hook);
  using gpu = await Gpu.open({ profile: "software" });
  const [base, tuned] = await pair(gpu);
  const [streamedBase, streamed] = await pair(gpu, true);
  using discrete = await Gpu.open({ profile: "discrete" });
  const [fusedBase, fused] = await pair(discrete);
  using steps = await Gpu.open({ profile: "discrete", tuning: STEPPED });
  const [steppedBase, stepped] = await pair(steps);
  for (const lengths of [[1], [2, 1], [5], [40, 70], Array(9).fill(1)]) {
    const texts = lengths.map((length, s) => someTokens(tuned, length, s));
    const expected = await run(stepped, texts, { capture });
    assertSameRun(await run(tuned, texts, { capture }), expected, `${lengths} tokens`);
    assertSameRun(await run(fused, texts, { capture }), expected, `${lengths}, as on GPUs`);
    assertSameRun(await run(streamed, texts, { capture }), expected, `${lengths}, streamed`);
    for (const point of capture) {
      const alone = { capture: [point] };
      const found = await run(tuned, texts, alone);
      assertSameRun(found, new Map([[point, expected.get(point)!]]), `${lengths}, ${point}`);
    }
  }
  const models = [tuned, base, streamed, streamedBase, fused, fusedBase, stepped, steppedBase];
  for (const model of models) model.destroy();
});

Deno.test("a step of many sequences under an adapter: the bits of its steps, and six dispatches more a layer", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  using discrete = await Gpu.open({ profile: "discrete", tuning: STEPPED });
  const [base, tuned] = await pair(gpu);
  const [steppedBase, stepped] = await pair(discrete);
  const sequences = Array.from({ length: 8 }, (_, s) => [7 * s]);
  const places = sequences.map((_, s) => ({
    prefixStart: 0,
    prefixLength: 64,
    ownStart: 64 + 2 * s,
    ownLength: 0,
  }));
  const capture = ["logits"];
  const results: Run[] = [];
  for (const model of [tuned, stepped]) {
    const cache = new KvCache(model.gpu, model.spec, 80);
    const prompt = [{ prefixStart: 0, prefixLength: 0, ownStart: 0, ownLength: 0 }];
    await run(model, [someTokens(model, 64, 1)], { capture, cache }, prompt);
    results.push(await run(model, sequences, { capture, cache }, places));
    if (model === tuned) {
      const step = model.batch(sequences, places);
      const counts = [tuned, base].map((one) => recorded(one, step, { capture, cache }).dispatches);
      // What the factors A make of each of four inputs; q, k and v apart.
      assertEquals(counts[0] - counts[1], (4 + 2) * model.spec.layers);
    }
    cache.destroy();
  }
  assertSameRun(results[0], results[1], "a step");
  for (const model of [tuned, base, stepped, steppedBase]) model.destroy();
});

Deno.test("an adapter gives its textures back", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const base = await loadModel(gpu, await resolveSource("embedded:base"));
  const before = gpu.buffers.allocatedBytes;
  const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
  assertEquals(tuned.transformer.weights.textures.length, 10 * 6);
  tuned.transformer.destroy();
  await gpu.finish();
  assertEquals(gpu.buffers.allocatedBytes, before);
  base.transformer.destroy();
});
