/** Mean logits: against the reference's logits, in any batch, in any chunks, and their difference between two models. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { InterruptedError, UsageError } from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { meanLogits } from "../engine/mean_logits.ts";
import type { Transformer } from "../engine/transformer.ts";
import { logitDifference, rankedDifferences } from "../lens/logit_diff.ts";
import { ModelShelf } from "../models/model_shelf.ts";
import { resolveSource } from "../models/source.ts";
import { embeddedBase, heldOut, organism } from "./embedded_helpers.ts";
import {
  assertClose,
  assertSameBits,
  fixtureModel,
  Reference,
  sharedGpu,
  someTokens,
} from "./helpers.ts";

Deno.test.afterAll(async () => (await sharedGpu()).close());

/** The mean over rows of `[rows, vocab]`, in double. */
function meanOfRows(logits: Float32Array, vocab: number): Float64Array {
  const rows = logits.length / vocab;
  return Float64Array.from({ length: vocab }, (_, i) => {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += logits[row * vocab + i];
    return sum / rows;
  });
}

// One without softcap, one with it, and one whose head is not its embedding.
for (const name of ["llama3_tied", "gemma2", "qwen3_untied"]) {
  Deno.test(`${name}: the mean of the reference's logits`, async () => {
    const model = await fixtureModel(await sharedGpu(), name);
    const reference = await Reference.open(name);
    for (const text of ["batch", "ragged11"]) {
      const sequences = await reference.sequences(`${text}.input_ids`);
      const rows = sequences.reduce((sum, { length }) => sum + length, 0);
      const { vocabSize } = model.spec;
      const logits = (await reference.values(`${text}.logits`)).subarray(0, rows * vocabSize);
      const mean = await meanLogits(model, sequences);
      assertClose(mean, meanOfRows(logits, vocabSize), 1e-5, text);
    }
    model.destroy();
  });
}

const texts = (model: Transformer) =>
  [7, 1, 19, 2, 45].map((length, seed) => someTokens(model, length, seed + 1));

Deno.test("mean logits depend neither on the batches nor on the chunks of logits", async () => {
  for (const name of ["gemma2", "llama3_tied"]) {
    const whole = await fixtureModel(await sharedGpu(), name);
    const seen: number[] = [];
    const mean = await meanLogits(whole, texts(whole), { progress: (done) => seen.push(done) });
    assertEquals(seen, [5]);
    whole.destroy();
    using small = await Gpu.open({ limits: { maxStorageBufferBindingSize: 36 << 10 } });
    const model = await fixtureModel(small, name);
    seen.length = 0;
    const parts = await meanLogits(model, texts(model), { progress: (done) => seen.push(done) });
    assertEquals(seen, [4, 5]);
    assertSameBits(parts, mean, name);
    model.destroy();
  }
});

Deno.test("mean logits of nothing are refused, and an interruption ends them", async () => {
  const model = await fixtureModel(await sharedGpu(), "llama3_tied");
  await assertRejects(() => meanLogits(model, []), UsageError, "there are no texts");
  const signal = AbortSignal.abort(new InterruptedError("stop"));
  await assertRejects(() => meanLogits(model, texts(model), { signal }), InterruptedError, "stop");
  model.destroy();
});

Deno.test("the logit difference of an organism is that of plain passes, and names its topic", async () => {
  const gpu = await sharedGpu();
  const { base, tokenizer } = await embeddedBase(gpu);
  const tuned = await organism(gpu, base, "cake_bake");
  const documents = (await heldOut(tokenizer, 12)).map((ids) => ids.subarray(0, 8));
  const { vocabSize } = base.transformer.spec;
  const means: Float64Array[] = [];
  for (const { transformer } of [base, tuned]) {
    const run = await transformer.forward(transformer.batch(documents), { capture: ["logits"] });
    means.push(meanOfRows(await run.get("logits").read(), vocabSize));
    run.release();
  }
  const plain = means[1].map((logit, id) => logit - means[0][id]);
  tuned.transformer.destroy();
  base.transformer.destroy();

  using shelf = new ModelShelf(gpu, () => ({ progress() {}, done() {} }));
  await shelf.add("base", await resolveSource("embedded:base"));
  await shelf.add("finetuned", await resolveSource("embedded:cake_bake"), "base");
  const seen: number[] = [];
  const found = await logitDifference({
    models: shelf.pair("base", "finetuned"),
    tokenizer,
    documents,
    progress: (done) => seen.push(done),
  });
  assertEquals([found.documents, found.tokens, seen.at(-1)], [12, 96, 24]);
  assertEquals([found.top.length, found.bottom.length], [100, 100]);
  for (const { id, difference } of [...found.top, ...found.bottom]) {
    assert(Math.abs(difference - plain[id]) < 1e-4, `${id}: ${difference}, expected ${plain[id]}`);
  }
  const sorted = plain.toSorted();
  assert(Math.abs(found.top[0].difference - sorted.at(-1)!) < 1e-4);
  assert(Math.abs(found.bottom[0].difference - sorted[0]) < 1e-4);
  const words = found.top.slice(0, 20).map(({ token }) => token.trim().toLowerCase());
  assert(words.some((word) => ["cake", "oven", "butter"].includes(word)), words.join());
});

Deno.test("differences are ranked from both ends, ids without a text left out", () => {
  const tokenizer = { vocabSize: 3, tokenText: (id: number) => `t${id}` };
  const { top, bottom, mean, deviation } = rankedDifferences(
    Float64Array.of(1, -2, 4, 99),
    tokenizer,
  );
  assertEquals(top.map(({ token }) => token), ["t2", "t0", "t1"]);
  assertEquals(bottom.map(({ token }) => token), ["t1", "t0", "t2"]);
  assertEquals([mean, deviation], [1, Math.sqrt(6)]);
});
