/** What must not change a bit: the batch, the cache, the beginning of a pass, the variant of the kernels. */

import { assertEquals } from "@std/assert";
import type { KeyPlacement } from "../engine/batch.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { DEVICE_PROFILES } from "../engine/gpu/profile.ts";
import { KvCache } from "../engine/kv_cache.ts";
import type { Captured, Transformer } from "../engine/transformer.ts";
import { loadModel } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import {
  assertSameBits,
  assertSameRun,
  concat,
  readAll,
  residPosts,
  type Run,
  run,
  sharedGpu,
  someTokens,
} from "./helpers.ts";
import { BACKEND } from "./test_gpu.ts";

/** The embedded base model. */
export async function embeddedBase(gpu: Gpu): Promise<Transformer> {
  return (await loadModel(gpu, await resolveSource("embedded:base"))).transformer;
}

const everything = (model: Transformer) => ["hook_embed", ...residPosts(model), "logits"];

/** The captures of one sequence that came in several passes, as if it had been one. */
const joined = (parts: readonly Run[]): Run =>
  new Map([...parts[0].keys()].map((hook) => [hook, [concat(parts.map((p) => p.get(hook)![0]))]]));

/** One sequence of a run. */
const only = (whole: Run, s: number): Run =>
  new Map([...whole].map(([hook, sequences]) => [hook, [sequences[s]]]));

/** Runs a sequence in pieces of the given lengths through a cache. */
async function inPieces(
  model: Transformer,
  text: readonly number[],
  lengths: readonly number[],
  capture: string[] = everything(model),
): Promise<Run> {
  // Rows in front, so that a sequence's place in the cache is not 0.
  const cache = new KvCache(model.gpu, model.spec, text.length + 3);
  cache.reserve(3);
  const ownStart = cache.reserve(text.length);
  const passes: Captured[] = [];
  let done = 0;
  for (const length of lengths) {
    const place = { prefixStart: 0, prefixLength: 0, ownStart, ownLength: done };
    const batch = model.batch([text.slice(done, done + length)], [place]);
    passes.push(await model.forward(batch, { cache, capture }));
    done += length;
  }
  assertEquals(done, text.length);
  const parts = await readAll(model.gpu, passes);
  cache.destroy();
  return joined(parts);
}

/**
 * Registers the tests of one model.
 *
 * @param long tokens of the long text: more keys than one chunk of the softmax, and than any window
 */
export function invarianceTests(
  name: string,
  open: (gpu: Gpu) => Promise<Transformer>,
  long: number,
): void {
  Deno.test(`${name}: alone, in any place of a batch, and again`, async () => {
    const model = await open(await sharedGpu());
    const texts = [long, 5, 1, 23].map((length, seed) => someTokens(model, length, seed));
    const capture = everything(model);
    const alone: Run[] = [];
    for (const text of texts) alone.push(await run(model, [text], { capture }));
    for (const order of [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0], [2, 1]]) {
      const batch = await run(model, order.map((s) => texts[s]), { capture });
      order.forEach((s, place) =>
        assertSameRun(only(batch, place), alone[s], `sequence ${s} at place ${place} of ${order}`)
      );
    }
    const again = await run(model, [texts[0]], { capture });
    assertSameRun(again, alone[0], "a second run");
    model.destroy();
  });

  Deno.test(`${name}: in parts and token by token through the cache`, async () => {
    const model = await open(await sharedGpu());
    const text = someTokens(model, long, 7);
    const whole = await run(model, [text], { capture: everything(model) });
    for (const first of [64, long - 1]) {
      const parts = await inPieces(model, text, [first, long - first]);
      assertSameRun(parts, whole, `${first} tokens, then the rest`);
    }
    const tokens = await inPieces(model, text, text.map(() => 1));
    assertSameRun(tokens, whole, "token by token");
    // Where nobody looks in between, a dispatch may do more at once.
    const logits = await inPieces(model, text, text.map(() => 1), ["logits"]);
    const last = new Map([["logits", whole.get("logits")!]]);
    assertSameRun(logits, last, "token by token, without a look at the residual stream");
    model.destroy();
  });

  Deno.test(`${name}: two sequences that share one prefix in the cache`, async () => {
    const model = await open(await sharedGpu());
    const gpu = model.gpu;
    const capture = everything(model);
    const prefix = someTokens(model, long - 10, 1);
    const tails = [someTokens(model, 10, 2), someTokens(model, 4, 3)];
    const cache = new KvCache(gpu, model.spec, 5 + prefix.length + 14);
    cache.reserve(5);
    const prefixStart = cache.reserve(prefix.length);
    const place = { prefixStart: 0, prefixLength: 0, ownStart: prefixStart, ownLength: 0 };
    await model.forward(model.batch([prefix], [place]), { cache });
    const shared = { prefixStart, prefixLength: prefix.length, ownLength: 0 };
    const own = tails.map((tail) => cache.reserve(tail.length));
    // The second half of each tail is a pass of its own: it reads both the prefix and its own keys.
    const halves: Run[] = [];
    for (const second of [false, true]) {
      const part = (tail: number[]) => {
        const middle = tail.length / 2;
        return second ? tail.slice(middle) : tail.slice(0, middle);
      };
      const placements: KeyPlacement[] = tails.map((tail, s) => ({
        ...shared,
        ownStart: own[s],
        ownLength: second ? tail.length / 2 : 0,
      }));
      halves.push(await run(model, tails.map(part), { cache, capture }, placements));
    }
    for (const [s, tail] of tails.entries()) {
      const whole = await run(model, [[...prefix, ...tail]], { capture });
      for (const [hook, [values]] of whole) {
        const found = concat(halves.map((half) => half.get(hook)![s]));
        assertSameBits(found, values.slice(-found.length), `${hook} of sequence ${s}`);
      }
    }
    cache.destroy();
    model.destroy();
  });

  Deno.test(`${name}: from a captured residual on`, async () => {
    const model = await open(await sharedGpu());
    const texts = [someTokens(model, 30, 1), someTokens(model, 9, 2)];
    const batch = model.batch(texts);
    const { layers, hiddenSize } = model.spec;
    const whole = await run(model, texts, { capture: everything(model) });
    for (const layer of [0, 1, layers - 1, layers]) {
      const hook = layer < layers
        ? `blocks.${layer}.hook_resid_pre`
        : `blocks.${layer - 1}.hook_resid_post`;
      const kept = await model.forward(batch, { capture: [hook] });
      const resid = kept.get(hook);
      assertEquals(resid.shape, [39, hiddenSize]);
      const capture = [...residPosts(model).slice(layer), "logits"];
      const rest = await run(model, texts, { start: { layer, resid }, capture });
      const expected = new Map(capture.map((h) => [h, whole.get(h)!]));
      assertSameRun(rest, expected, `from layer ${layer}`);
      kept.release();
    }
    model.destroy();
  });

  Deno.test(`${name}: the variants of every class of adapter`, async () => {
    const [runs, steps]: Run[][] = [[], []];
    for (const profile of DEVICE_PROFILES) {
      using gpu = await Gpu.open({ profile, backend: BACKEND });
      const model = await open(gpu);
      const texts = [somewhatLong(model), someTokens(model, 5, 1)];
      const edits = (["add", "project"] as const).map((op) => ({
        hook: "blocks.1.hook_resid_mid",
        op,
        vector: new Float32Array(model.spec.hiddenSize).fill(0.5),
        scale: 0.25,
      }));
      runs.push(await run(model, texts, { capture: everything(model), edits }));
      // Of a few tokens blocks are recorded in other dispatches.
      const text = someTokens(model, 12, 5);
      steps.push(await inPieces(model, text, [7, 1, 3, 1]));
      assertSameRun(
        steps.at(-1)!,
        await run(model, [text], { capture: everything(model) }),
        profile,
      );
    }
    DEVICE_PROFILES.forEach((profile, i) => {
      assertSameRun(runs[i], runs[0], `${profile} and software`);
      assertSameRun(steps[i], steps[0], `steps of ${profile} and software`);
    });
  });
}

/** More keys than one chunk of the softmax holds. */
const somewhatLong = (model: Transformer) => someTokens(model, 70, 4);
