/** Products under an adapter: what it adds goes with them in one dispatch, with the bits that it has step by step. */

import { assertEquals } from "@std/assert";
import { Gpu } from "../engine/gpu/gpu.ts";
import { Tuning } from "../engine/gpu/tuning.ts";
import type { Transformer } from "../engine/transformer.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { LAYER } from "./embedded_helpers.ts";
import { assertSameRun, run, someTokens } from "./helpers.ts";
import { recorded } from "./hooks_helpers.ts";

const hook = (point: string) => `blocks.${LAYER}.${point}`;

/** The embedded base and an organism of rank 16 on all linear layers. */
async function pair(gpu: Gpu, stream = false): Promise<[Transformer, Transformer]> {
  const base = await loadModel(gpu, await resolveSource("embedded:base"), { stream });
  const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
  return [base.transformer, tuned.transformer];
}

Deno.test("an adapter costs a dispatch for each factor A, and nothing else", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const [base, tuned] = await pair(gpu);
  const dispatches = (model: Transformer, tokens: number, hooks: string[]) => {
    const batch = model.batch([someTokens(model, tokens, 1)]);
    return recorded(model, batch, { capture: hooks }).dispatches;
  };
  const apart = (tokens: number, hooks: string[]) =>
    dispatches(tuned, tokens, hooks) - dispatches(base, tokens, hooks);
  const layers = LAYER + 1;
  assertEquals(apart(100, [hook("hook_resid_post")]), 7 * layers);
  // Somebody who looks at what a sublayer adds gets the adapter's share with it.
  assertEquals(apart(100, [hook("hook_attn_out"), hook("hook_resid_post")]), 7 * layers);
  // With few rows what the factors A make, and the sums with what B makes of it, are dispatches of their own for all with one input.
  assertEquals(apart(1, [hook("hook_resid_post")]), 4 * 2 * layers);
  for (const model of [tuned, base]) model.destroy();
});

Deno.test("adapted products have the bits of their steps, whatever the number of rows", async () => {
  const capture = ["hook_attn_out", "hook_mlp_out", "hook_resid_post"].map(hook);
  using gpu = await Gpu.open({ profile: "software" });
  const [base, tuned] = await pair(gpu);
  const [streamedBase, streamed] = await pair(gpu, true);
  // Where products are not fused, an adapter's share is two steps of its own.
  const tuning = Tuning.always("matmul", "rows 8");
  using discrete = await Gpu.open({ profile: "discrete", tuning });
  const [steppedBase, stepped] = await pair(discrete);
  for (const lengths of [[1], [2, 1], [5], [40, 70]]) {
    const texts = lengths.map((length, s) => someTokens(tuned, length, s));
    const expected = await run(stepped, texts, { capture });
    assertSameRun(await run(tuned, texts, { capture }), expected, `${lengths} tokens`);
    assertSameRun(await run(streamed, texts, { capture }), expected, `${lengths}, streamed`);
    for (const point of capture) {
      const alone = { capture: [point] };
      const found = await run(tuned, texts, alone);
      assertSameRun(found, new Map([[point, expected.get(point)!]]), `${lengths}, ${point}`);
    }
  }
  for (const model of [tuned, base, streamed, streamedBase, stepped, steppedBase]) model.destroy();
});

Deno.test("an adapter gives its textures back", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const base = await loadModel(gpu, await resolveSource("embedded:base"));
  const before = gpu.buffers.allocatedBytes;
  const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
  assertEquals(tuned.transformer.weights.textures.length, 6 * 6);
  tuned.transformer.destroy();
  await gpu.finish();
  assertEquals(gpu.buffers.allocatedBytes, before);
  base.transformer.destroy();
});
