/** Reproducible by construction: whatever the batch, the cache or the variant of the kernels, the same bits. */

import { assertEquals } from "@std/assert";
import {
  assertSameBits,
  assertSameRun,
  concat,
  fixtureModel,
  FIXTURES,
  readJson,
  run,
  sharedGpu,
  someTokens,
} from "./helpers.ts";
import { embeddedBase, invarianceTests } from "./invariance_suite.ts";

// The other architectures have theirs in slow/. Gemma 2 has windows, softcaps and every norm.
invarianceTests("llama3_tied", (gpu) => fixtureModel(gpu, "llama3_tied"), 150);
invarianceTests("gemma2", (gpu) => fixtureModel(gpu, "gemma2"), 70);
invarianceTests("embedded base", embeddedBase, 70);

Deno.test("a long text after a short one is what it is alone", async () => {
  const gpu = await sharedGpu();
  // Tables of positions are made for 256 first.
  const config = await readJson(`${FIXTURES}/qwen3_tied/config.json`);
  const open = () => fixtureModel(gpu, "qwen3_tied", { ...config, max_position_embeddings: 600 });
  const [model, other] = [await open(), await open()];
  const text = someTokens(model, 300, 1);
  const request = { capture: ["blocks.1.hook_resid_post"] };
  const alone = await run(model, [text], request);
  await run(other, [text.slice(0, 9)], request);
  assertSameRun(await run(other, [text], request), alone, "300 tokens");
  model.destroy();
  other.destroy();
});

/** Positions as asked for, and the rows they mean in sequences of 12 and of 5 tokens. */
const LISTED: [number[], number[][]][] = [
  [[-1], [[11], [4]]],
  [[0], [[0], [0]]],
  [[7, 2, 2, -12], [[0, 2, 7], [2]]],
  [[3, -2], [[3, 10], [3]]],
];

Deno.test("listed positions are rows of all positions", async () => {
  const model = await fixtureModel(await sharedGpu(), "llama3_tied");
  const texts = [someTokens(model, 12, 1), someTokens(model, 5, 2)];
  const hooks = ["hook_embed", "blocks.1.hook_attn_out", "ln_final.hook_normalized", "logits"];
  const all = await run(model, texts, { capture: hooks });
  for (const [positions, places] of LISTED) {
    // Each hook by itself: the final two compute only the rows that are asked for.
    for (const hook of hooks) {
      const listed = await run(model, texts, { capture: [{ hook, positions }] });
      places.forEach((rows, s) => {
        const values = all.get(hook)![s];
        const width = values.length / texts[s].length;
        const expected = concat(
          rows.map((row) => values.slice(row * width, row * width + width)),
        );
        const found = listed.get(hook)![s];
        assertEquals(found.length, expected.length);
        if (rows.length > 0) assertSameBits(found, expected, `${hook} at ${positions}`);
      });
    }
  }
  // Two hooks of the tail with other positions each.
  const both = await run(model, texts, {
    capture: [{ hook: "ln_final.hook_normalized", positions: [0] }, {
      hook: "logits",
      positions: [-1],
    }],
  });
  texts.forEach((text, s) => {
    const { hiddenSize, vocabSize } = model.spec;
    const [normed, logits] = ["ln_final.hook_normalized", "logits"].map((h) => all.get(h)![s]);
    assertSameBits(
      both.get("ln_final.hook_normalized")![s],
      normed.slice(0, hiddenSize),
      "normed",
    );
    assertSameBits(both.get("logits")![s], logits.slice((text.length - 1) * vocabSize), "logits");
  });
  model.destroy();
});
