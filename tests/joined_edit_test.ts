/** An edit of every row of the residual stream goes with the product that reads it next: no dispatch more, and the bits are the same. */

import { assert, assertEquals } from "@std/assert";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { Edit } from "../engine/hooks.ts";
import type { Transformer } from "../engine/transformer.ts";
import { assertSameRun, type Run, run, someVector } from "./helpers.ts";
import { recorded } from "./hooks_helpers.ts";
import { randomPair } from "./random_pair.ts";

/** Of one model sublayers end with a norm, which is left to the next product too where nothing comes between. */
const MODELS = ["qwen3_tied", "gemma3_text"];

const HOOKS = ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_mid", "blocks.1.hook_resid_post"];
const lastOf = ({ spec: { layers } }: Transformer) => `blocks.${layers - 1}.hook_resid_post`;

for (const profile of ["software", "discrete"] as const) {
  Deno.test(`edits of few rows cost no dispatch, and change no bit by where they are done (${profile})`, async () => {
    using gpu = await Gpu.open({ profile });
    // Those of four are few for software adapters, those of eight for GPUs.
    const most = profile === "software" ? 4 : 8;
    for (const name of MODELS) {
      const pair = await randomPair(gpu, name);
      for (const [i, model] of pair.entries()) {
        for (const sequences of [1, 3, most, most + 1]) {
          for (const hook of [...HOOKS, lastOf(model)]) {
            const what = `${name}, ${i ? "adapted" : "base"}, ${hook}, ${sequences}`;
            const found = await edited(model, hook, scales(sequences));
            assertSameRun(found.joined, found.apart, what);
            // A sublayer's norm before the edit, which the product takes otherwise, is a dispatch of its own then.
            const normed = name.startsWith("gemma") && !hook.startsWith("blocks.0");
            // After the last layer no product of few rows comes that takes it.
            const costs = sequences > most || normed || hook === lastOf(model) ? 1 : 0;
            assertEquals(found.dispatches, costs, what);
          }
        }
      }
      for (const model of pair.reverse()) model.destroy();
    }
  });
}

Deno.test("edits that leave rows out, or of which there are two, are dispatches of their own", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const [model, tuned] = await randomPair(gpu, MODELS[0]);
  const [, , hook] = HOOKS;
  for (const scale of [[2, null, 0.5], [null, null, 1]]) {
    const found = await edited(model, hook, scale);
    assertSameRun(found.joined, found.apart, `${scale}`);
    assertEquals(found.dispatches, 1, `${scale}`);
  }
  assertEquals((await edited(model, hook, [null, null, null])).dispatches, 0);
  for (const op of ["replace", "add"] as const) {
    const two = await edited(model, hook, [1, 2, 3], { op });
    assertSameRun(two.joined, two.apart, `${op}, then add`);
    assertEquals(two.dispatches, 2);
  }
  for (const one of [tuned, model]) one.destroy();
});

/** A coefficient for each sequence. */
const scales = (sequences: number) => Array.from({ length: sequences }, (_, s) => 1.7 - 0.6 * s);

/** What comes of an edit that may be joined and of one that somebody looks at, and how many dispatches the first costs. */
async function edited(
  model: Transformer,
  hook: string,
  scale: (number | null)[],
  other?: Pick<Edit, "op">,
): Promise<{ joined: Run; apart: Run; dispatches: number }> {
  const texts = scale.map((_, s) => [3 + s]);
  const edit = (seed: number) => ({ hook, vector: someVector(model.spec.hiddenSize, seed), scale });
  const edits: Edit[] = [{ ...edit(9), op: "add" }];
  if (other) edits.unshift({ ...edit(10), ...other });
  const batch = model.batch(texts);
  const capture = ["logits"];
  const dispatches = (edits: Edit[]) => recorded(model, batch, { capture, edits }).dispatches;
  const apart = await run(model, texts, { capture: [hook, ...capture], edits });
  assert(apart.delete(hook), "the hook is captured");
  return {
    joined: await run(model, texts, { capture, edits }),
    apart,
    dispatches: dispatches(edits) - dispatches([]),
  };
}
