/** Losses of tokens: against the reference's logits, in any batch, in any chunks of logits, with edits. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { InterruptedError, UsageError } from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { Edit, HookEdit } from "../engine/hooks.ts";
import { readTokenLosses, runTokenLosses, tokenLosses } from "../engine/token_loss.ts";
import type { Transformer } from "../engine/transformer.ts";
import {
  assertClose,
  assertSameBits,
  concat,
  FIXTURE_MODELS,
  fixtureModel,
  Reference,
  sharedGpu,
  someTokens,
  someVector,
} from "./helpers.ts";

Deno.test.afterAll(async () => (await sharedGpu()).close());

/** Cross-entropy of each next token, in double. */
function plainLosses(logits: Float32Array, ids: readonly number[], vocab: number): Float64Array {
  return Float64Array.from(ids.slice(1), (target, i) => {
    const row = logits.subarray(i * vocab, (i + 1) * vocab);
    const top = row.reduce((most, value) => Math.max(most, value));
    return Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0)) + top - row[target];
  });
}

for (const name of FIXTURE_MODELS) {
  Deno.test(`${name}: losses are those of the reference's logits`, async () => {
    const model = await fixtureModel(await sharedGpu(), name);
    const reference = await Reference.open(name);
    const { vocabSize } = model.spec;
    for (const text of ["batch", "ragged5", "ragged11"]) {
      const sequences = await reference.sequences(`${text}.input_ids`);
      const logits = await reference.values(`${text}.logits`);
      const losses = await tokenLosses(model, sequences);
      sequences.forEach((ids, s) => {
        const own = logits.subarray(s * ids.length * vocabSize);
        assertClose(losses[s], plainLosses(own, ids, vocabSize), 1e-5, `${text}, ${s}`);
      });
    }
    model.destroy();
  });
}

const LENGTHS = [7, 1, 19, 2, 45];
/** Bytes of the largest binding of an adapter on which everything takes several passes. */
const BINDING = 36 << 10;
const smallGpu = () => Gpu.open({ limits: { maxStorageBufferBindingSize: BINDING } });

const texts = (model: Transformer) =>
  LENGTHS.map((length, seed) => someTokens(model, length, seed + 1));

Deno.test("a sequence's losses depend neither on the batch nor on the chunks of logits", async () => {
  const whole = await fixtureModel(await sharedGpu(), "gemma2");
  const sequences = texts(whole);
  const seen: number[] = [];
  const losses = await tokenLosses(whole, sequences, { progress: (done) => seen.push(done) });
  assertEquals(losses.map(({ length }) => length), LENGTHS.map((length) => length - 1));
  assertEquals(seen, [5]);
  const same = (found: readonly Float32Array[], what: string) => {
    assertEquals(found.length, losses.length);
    found.forEach((one, s) => {
      if (one.length > 0) assertSameBits(one, losses[s], `sequence ${s} ${what}`);
    });
  };
  const alone = [];
  for (const sequence of sequences) alone.push(...await tokenLosses(whole, [sequence]));
  same(alone, "alone");
  const { hiddenSize, intermediateSize, vocabSize } = whole.spec;
  whole.destroy();

  assert(BINDING / (4 * vocabSize) < 44, "the logits of the longest sequence do not fit at once");
  assert(BINDING / (4 * Math.max(hiddenSize, intermediateSize)) < 74, "nor do all sequences");
  using small = await smallGpu();
  const model = await fixtureModel(small, "gemma2");
  seen.length = 0;
  same(await tokenLosses(model, sequences, { progress: (done) => seen.push(done) }), "in parts");
  assertEquals(seen, [4, 5]);
  model.destroy();
});

Deno.test("losses under a budget that one pass of all sequences would break", async () => {
  const losses: Float32Array[][] = [];
  for (const memoryBudget of [undefined, 3 << 20]) {
    using gpu = await Gpu.open({ memoryBudget });
    const model = await fixtureModel(gpu, "llama3_tied");
    const sequences = [200, 30, 250, 9, 90].map((length, s) => someTokens(model, length, s));
    const seen: number[] = [];
    losses.push(await tokenLosses(model, sequences, { progress: (done) => seen.push(done) }));
    assertEquals(seen.length > 1, memoryBudget !== undefined);
    model.destroy();
  }
  losses[0].forEach((one, s) => assertSameBits(losses[1][s], one, `sequence ${s}`));
});

Deno.test("edits keep to their sequences from batch to batch", async () => {
  using small = await smallGpu();
  const model = await fixtureModel(small, "gemma2");
  const sequences = Array.from({ length: 9 }, (_, s) => someTokens(model, 15, s));
  const vector = someVector(model.spec.hiddenSize, 3);
  const hook = "blocks.1.hook_resid_post";
  const scale = sequences.map((_, s) => s);
  const edit: Edit = { hook, op: "add", vector, scale };
  const seen: number[] = [];
  const progress = (done: number) => seen.push(done);
  const losses = await tokenLosses(model, sequences, { edits: [edit], progress });
  assertEquals(seen, [3, 6, 9]);
  const vectors = sequences.map((_, s) => s % 2 ? vector : null);
  const removed = await tokenLosses(model, sequences, {
    edits: [{ hook, op: "component", vectors }],
  });
  for (const s of [0, 5, 8]) {
    const one = async (edits: HookEdit[]) =>
      (await tokenLosses(model, [sequences[s]], { edits }))[0];
    assertSameBits(losses[s], await one([{ ...edit, scale: s }]), `sequence ${s} is steered`);
    const alone = await one(s % 2 ? [{ hook, op: "project", vector }] : []);
    assertSameBits(removed[s], alone, `sequence ${s} lacks a component`);
  }
  model.destroy();
});

Deno.test("variants of a text run from a layer on as they do from the beginning", async () => {
  const model = await fixtureModel(await sharedGpu(), "gemma2");
  const { gpu, spec } = model;
  const [text, other] = [someTokens(model, 11, 1), someTokens(model, 5, 2)];
  const rows = Array.from({ length: 16 }, (_, r) => someVector(spec.hiddenSize, r + 20));
  const tensor = gpu.tensorFrom(concat(rows), [16, spec.hiddenSize]);
  const [v, w] = [someVector(spec.hiddenSize, 3), someVector(spec.hiddenSize, 4)];
  for (let layer = 0; layer < spec.layers; layer++) {
    const hook = `blocks.${layer}.hook_resid_post`;
    const batch = model.batch([text, other]);
    const plain = await runTokenLosses(model, batch, { capture: [hook] });
    const before = await readTokenLosses(batch, plain.losses);

    const variants = model.batch([other, text, text, other]);
    const firstRows = [11, 0, 0, 11];
    const edits: HookEdit[] = [{
      hook,
      op: "component",
      vectors: [v, w, null, w],
      from: { tensor, firstRows },
    }];
    const start = { layer: layer + 1, resid: plain.captured.get(hook), firstRows };
    const run = await runTokenLosses(model, variants, { start, edits });
    const found = await readTokenLosses(variants, run.losses);
    assertSameBits(found[2], before[0], `layer ${layer}: an untouched variant`);
    const whole = await tokenLosses(model, [other, text, text, other], { edits });
    found.forEach((losses, s) => assertSameBits(losses, whole[s], `layer ${layer}, variant ${s}`));
    assert(found[1].some((loss, i) => loss !== before[0][i]));
    assert(found[0].some((loss, i) => loss !== found[3][i]));
    run.captured.release();
    plain.captured.release();
  }
  tensor.release();
  model.destroy();
});

Deno.test("what cannot be measured is refused, and nothing is kept", async () => {
  const model = await fixtureModel(await sharedGpu(), "llama3_tied");
  const { hiddenSize, vocabSize } = model.spec;
  const hook = "blocks.0.hook_resid_post";
  const vector = someVector(hiddenSize, 1);
  const tensor = model.gpu.tensor([5, hiddenSize]);
  const refused = async (edit: HookEdit, message: string) => {
    await assertRejects(
      () => tokenLosses(model, [[1, 2, 3]], { edits: [edit] }),
      UsageError,
      message,
    );
    assertEquals(model.gpu.buffers.openRecorders, 0);
  };
  const component = { hook, op: "component", vectors: [vector] } as const;
  await refused(
    { hook: "logits", op: "add", vector: new Float32Array(vocabSize) },
    'Cannot edit at "logits" for losses',
  );
  await refused(
    { ...component, vectors: [vector.slice(1)] },
    `the vector has ${hiddenSize - 1} values, the hook ${hiddenSize}`,
  );
  await refused({ ...component, vectors: [new Float32Array(hiddenSize)] }, "a vector of length 0");
  for (const first of [3, -1, 0.5]) {
    await refused(
      { ...component, from: { tensor, firstRows: [first] } },
      `sequence 0 takes components from rows ${first} to ${first + 2} of 5`,
    );
  }
  const narrow = model.gpu.tensor([5, 2]);
  await refused({ ...component, from: { tensor: narrow, firstRows: [0] } }, "rows of 2 values");
  const batch = model.batch([[1, 2]]);
  await assertRejects(
    () => runTokenLosses(model, batch, { edits: [{ ...component, vectors: [vector, vector] }] }),
    UsageError,
    "there are 2 vectors for 1 sequences",
  );
  await assertRejects(
    () => tokenLosses(model, [[1], []]),
    UsageError,
    "sequence 1: it has no tokens",
  );
  const signal = AbortSignal.abort(new InterruptedError("Stopped"));
  await assertRejects(() => tokenLosses(model, [[1, 2]], { signal }), InterruptedError);
  assertEquals(await tokenLosses(model, []), []);
  narrow.release();
  tensor.release();
  model.destroy();
});
