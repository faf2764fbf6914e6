/**
 * The method on an embedded organism, on a few documents, against the same numbers had another way. The comparison with
 * Hugging Face's numbers, on all documents, is in `slow/`.
 */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import type { Means } from "../engine/activation_means.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import {
  intersectMean,
  type Ranked,
  softmaxRows,
  topK,
  unpackTopK,
} from "../engine/ops/ranking.ts";
import type { Transformer } from "../engine/transformer.ts";
import { type DiffState, meanDifference, SKIP_TOKENS, typicalNorm } from "../lens/diff.ts";
import { logitLens } from "../lens/logit_lens.ts";
import {
  patchscope,
  PATCHSCOPE_INTERSECTION,
  PATCHSCOPE_PROMPTS,
  rescaled,
} from "../lens/patchscope.ts";
import { loadedPair } from "../models/model_shelf.ts";
import { embeddedBase, heldOut, LAYER, organism } from "./embedded_helpers.ts";
import {
  assertClose,
  assertSameBits,
  fixtureAdapter,
  fixtureModel,
  run,
  sharedGpu,
  someTokens,
  someVector,
} from "./helpers.ts";

/** Documents of the tiny pair. */
const DOCUMENTS = 20;

const STREAMS = ["delta", "base", "finetuned", "baseNorm", "finetunedNorm"] as const;

/** Means over documents of `[positions, width]` activations, in double. */
function hostMeans(documents: readonly ArrayLike<number>[]): Float64Array {
  const sums = new Float64Array(documents[0].length);
  for (const document of documents) for (const i of sums.keys()) sums[i] += document[i];
  return sums.map((sum) => sum / documents.length);
}

/** L2 norms of the rows of `[positions, width]`. */
function rowNorms(document: Float32Array, width: number): number[] {
  return Array.from(
    { length: document.length / width },
    (_, j) =>
      Math.sqrt(document.subarray(j * width, j * width + width).reduce((s, x) => s + x * x, 0)),
  );
}

Deno.test("mean differences are the means of the captured activations", async () => {
  const gpu = await sharedGpu();
  const { base, tokenizer } = await embeddedBase(gpu);
  const tuned = await organism(gpu, base, "cake_bake");
  const documents = await heldOut(tokenizer, 64);
  assertEquals(documents.length, 64);
  const models = loadedPair(base.transformer, tuned.transformer);
  const layers = [0, 1];
  const found = await meanDifference(gpu, { models, documents, layers });

  const capture = layers.map((layer) => `blocks.${layer}.hook_resid_post`);
  const ours = await run(base.transformer, documents, { capture });
  const theirs = await run(tuned.transformer, documents, { capture });
  const width = base.transformer.spec.hiddenSize;
  capture.forEach((hook, i) => {
    const [a, b] = [ours, theirs].map((r) => r.get(hook)!);
    const expected: Record<typeof STREAMS[number], Float64Array> = {
      delta: hostMeans(b.map((document, d) => document.map((x, at) => x - a[d][at]))),
      base: hostMeans(a),
      finetuned: hostMeans(b),
      baseNorm: hostMeans(a.map((document) => rowNorms(document, width))),
      finetunedNorm: hostMeans(b.map((document) => rowNorms(document, width))),
    };
    assertEquals(found[i].documents, 64);
    for (const stream of STREAMS) {
      assertClose(found[i][stream], expected[stream], 1e-6, `${stream} at ${hook}`);
    }
    const norms = expected.finetunedNorm.slice(SKIP_TOKENS);
    const mean = norms.reduce((sum, x) => sum + x) / norms.length;
    assertClose([typicalNorm(found[i].finetunedNorm)], [mean], 1e-6, "typical norm");
  });
  tuned.transformer.destroy();
  base.transformer.destroy();
});

/** Four batches of random documents on a tiny pair of models: an adapter that binds little takes few at a time. */
async function tinyPair(gpu: Gpu) {
  const base = await fixtureModel(gpu, "llama3_tied");
  const finetuned = await fixtureAdapter(base, "llama3_tied", "lora");
  const documents = Array.from({ length: DOCUMENTS }, (_, d) => someTokens(base, 16, d));
  return { models: loadedPair(base, finetuned), documents, layers: [1, 3] };
}

function assertSameMeans(found: Means[], expected: Means[], what: string) {
  assertEquals(found.length, expected.length);
  found.forEach((means, i) => {
    assertEquals(means.documents, expected[i].documents, what);
    for (const stream of STREAMS) assertSameBits(means[stream], expected[i][stream], what);
  });
}

Deno.test("an interrupted mean difference goes on to the same bits", async () => {
  using gpu = await Gpu.open({ limits: { maxStorageBufferBindingSize: 64 << 10 } });
  const options = await tinyPair(gpu);
  const whole = await meanDifference(gpu, options);
  assertEquals(whole[0].documents, DOCUMENTS);

  for (const batches of [0, 1, 2]) {
    const controller = new AbortController();
    let kept: DiffState | undefined;
    let done = 0;
    let calls = 0;
    if (batches === 0) controller.abort();
    await assertRejects(
      () =>
        meanDifference(gpu, {
          ...options,
          signal: controller.signal,
          progress: (documents) => {
            done = documents;
            if (++calls === batches) controller.abort();
          },
          checkpoint: (state) => Promise.resolve(void (kept = state)),
        }),
      DOMException,
    );
    assertEquals(calls, batches);
    // What was submitted and not waited for is kept too.
    const reached = kept!.base[0].documents;
    for (const side of [kept!.base, kept!.finetuned]) {
      assertEquals(side.map((sums) => sums.documents), [reached, reached]);
    }
    assert(reached >= done && reached < DOCUMENTS);
    const seen: number[] = [];
    const progress = (documents: number) => void seen.push(documents);
    const resumed = await meanDifference(gpu, { ...options, resume: kept, progress });
    assertSameMeans(resumed, whole, `after ${done} documents`);
    assert(seen[0] > reached && seen.at(-1) === DOCUMENTS);
  }
});

Deno.test("checkpoints on the way, and any split of the documents, give the same bits", async () => {
  using gpu = await Gpu.open({ limits: { maxStorageBufferBindingSize: 64 << 10 } });
  const options = await tinyPair(gpu);
  const whole = await meanDifference(gpu, options);
  /** All checkpoints of a run, one after each batch, and its means. */
  const watch = async (documents: number[][], resume?: DiffState) => {
    const states: DiffState[] = [];
    const checkpoint = (state: DiffState) => Promise.resolve(void states.push(state));
    const watched = { ...options, documents, resume, checkpoint, checkpointEvery: -1 };
    return { means: await meanDifference(gpu, watched), states };
  };
  const { documents } = options;
  const watched = await watch(documents);
  assertSameMeans(watched.means, whole, "with checkpoints");
  assertEquals(watched.states.length, 4);

  // 7 documents are no multiple of anything: the batches after them are other ones.
  const part = (await watch(documents.slice(0, 7))).states.at(-1);
  const rest = await watch(documents, part);
  assertSameMeans(rest.means, whole, "7 documents, then the others");
  const last = (run: typeof rest) => run.states.at(-1)!;
  assertEquals(last(rest), last(watched), "raw sums");
  // The order shows in the raw sums, so the comparison can fail.
  const reversed = await watch(documents.toReversed());
  const sum = (state: DiffState) => state.finetuned[0].sum;
  assert(sum(last(reversed)).some((x, i) => x !== sum(last(rest))[i]));
});

/** Patchscope without a cache: full forward passes in which an edit replaces the residual of the last token. */
async function patchscopeInFull(
  model: Transformer,
  prompts: number[][],
  layer: number,
  vector: Float32Array<ArrayBuffer>,
): Promise<Ranked[]> {
  const { gpu } = model;
  const hook = `blocks.${layer}.hook_resid_post`;
  const captured = await model.forward(model.batch(prompts), {
    capture: [{ hook: "logits", positions: [-1] }],
    edits: [{ hook, op: "replace", vector, positions: [-1] }],
  });
  const recorder = gpu.record();
  const probabilities = captured.get("logits");
  softmaxRows(recorder, probabilities);
  const means = intersectMean(recorder, probabilities, prompts.length, PATCHSCOPE_INTERSECTION);
  const top = topK(recorder, means, 20);
  await recorder.submit();
  const [data] = await gpu.read([top]);
  const [ranked] = unpackTopK(data, top.shape);
  for (const tensor of [probabilities, means, top]) tensor.release();
  return ranked;
}

Deno.test("Patchscope through shared prefixes is a full pass with the residual replaced", async () => {
  const gpu = await sharedGpu();
  const { base, tokenizer } = await embeddedBase(gpu);
  const { transformer } = await organism(gpu, base, "cake_bake");
  const prompts = PATCHSCOPE_PROMPTS.map((prompt) => tokenizer.encode(prompt, { special: true }));
  const { layers, hiddenSize } = transformer.spec;
  const vectors = [someVector(hiddenSize, 1), someVector(hiddenSize, 2)];
  const [norm, scales] = [27.5, [0.5, 40]];
  for (const layer of [LAYER, layers - 1]) {
    const found = await patchscope(transformer, vectors, { layer, prompts, norm, scales });
    for (const [v, vector] of vectors.entries()) {
      assertEquals(found[v].map(({ scale }) => scale), scales);
      for (const { scale, tokens } of found[v]) {
        const row = rescaled(vector, scale * norm);
        const expected = await patchscopeInFull(transformer, prompts, layer, row);
        assertEquals(tokens, expected, `vector ${v} at scale ${scale}, layer ${layer}`);
        assert(tokens.length === 20 && tokens[0].value > 0);
      }
    }
    assertNotEquals(found[0][0].tokens, found[1][0].tokens);
    assertNotEquals(found[0][0].tokens, found[0][1].tokens);
  }
  transformer.destroy();
  base.transformer.destroy();
});

Deno.test("the logit lens is the final norm and the unembedding, of v and of −v", async () => {
  const gpu = await sharedGpu();
  const { base: { transformer } } = await embeddedBase(gpu);
  const { hiddenSize, vocabSize, layers } = transformer.spec;
  const vectors = [someVector(hiddenSize, 3), someVector(hiddenSize, 4).map((x) => 100 * x)];
  const found = await logitLens(transformer, vectors, 30);
  const hook = `blocks.${layers - 1}.hook_resid_post`;
  for (const [v, vector] of vectors.entries()) {
    for (const side of ["top", "bottom"] as const) {
      const edits = [{ hook, op: "replace", vector, scale: side === "top" ? 1 : -1 }] as const;
      const logits = (await run(transformer, [[1]], { capture: ["logits"], edits })).get("logits")!;
      const order = [...logits[0].keys()].sort((a, b) => logits[0][b] - logits[0][a] || a - b);
      const total = logits[0].reduce((sum, x) => sum + Math.exp(x), 0);
      const ranked = found[v][side];
      assertEquals(ranked.map(({ id }) => id), order.slice(0, 30), `${side} of vector ${v}`);
      const expected = ranked.map(({ id }) => Math.exp(logits[0][id]) / total);
      assertClose(ranked.map(({ value }) => value), expected, 1e-5, `${side} of vector ${v}`);
      assertEquals(logits[0].length, vocabSize);
    }
  }
  transformer.destroy();
});
