/** Where the norm of the residual stream goes with the product that was added to it, a pass has the bits of its steps. */

import { assertEquals } from "@std/assert";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { Edit, Transformer } from "../engine/transformer.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { assertSameRun, run, someTokens } from "./helpers.ts";
import { recorded } from "./hooks_helpers.ts";

/** Rows that are enough for one core, and not for many. */
const LENGTHS = [40, 30];
const MANY_CORES = 64;

Deno.test("norms go with the products before them, unless somebody looks at what lies between or changes it", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const base = await loadModel(gpu, await resolveSource("embedded:base"));
  const { transformer: tuned } = await loadFinetuned(
    gpu,
    base,
    await resolveSource("embedded:cake_bake"),
  );
  const streamed = await loadModel(gpu, await resolveSource("embedded:base"), { stream: true });
  const { layers, hiddenSize } = base.transformer.spec;
  const vector = new Float32Array(hiddenSize).fill(0.5);
  const edit = (hook: string): Edit => ({ hook, op: "add", vector, scale: 1, positions: "all" });
  const mid = "blocks.2.hook_resid_mid";
  const post = "blocks.1.hook_resid_post";

  /** How many dispatches fewer there are, once both ways have given the same. */
  async function saved(model: Transformer, hooks: string[], edits: Edit[] = []): Promise<number> {
    const texts = LENGTHS.map((length, s) => someTokens(model, length, s));
    const request = { capture: [...hooks, "logits"], edits };
    const ways = [];
    for (const cores of [1, MANY_CORES]) {
      gpu.cores = cores;
      const { dispatches } = recorded(model, model.batch(texts), request);
      ways.push({ dispatches, results: await run(model, texts, request) });
    }
    assertSameRun(ways[0].results, ways[1].results, `${hooks}, ${edits.length} edits`);
    return ways[1].dispatches - ways[0].dispatches;
  }

  // Two a layer but the first, which nothing was added before, and the last of all.
  const all = 2 * layers;
  for (const model of [base.transformer, tuned]) {
    assertEquals(await saved(model, []), all);
    assertEquals(await saved(model, [mid]), all - 1);
    assertEquals(await saved(model, [], [edit(mid), edit(post)]), all - 2);
    assertEquals(await saved(model, ["ln_final.hook_normalized"]), all - 1);
  }
  // The next layer's weights are not there yet.
  assertEquals(await saved(streamed.transformer, []), layers);
  for (const model of [tuned, base.transformer, streamed.transformer]) model.destroy();
});
