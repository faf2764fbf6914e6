/** The causal effect on the embedded models: against a slow plain computation, in any batches, interrupted and resumed. */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import type { Means } from "../../engine/activation_means.ts";
import { InterruptedError, UsageError } from "../../engine/errors.ts";
import { Gpu } from "../../engine/gpu/gpu.ts";
import type { Edit } from "../../engine/hooks.ts";
import { tokenLosses } from "../../engine/token_loss.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { type CausalRun, causalStep } from "../../lens/causal/causal.ts";
import { randomDifferences, randomDirections } from "../../lens/causal/directions.ts";
import {
  type DocumentLosses,
  measureLosses,
  type MeasureOptions,
} from "../../lens/causal/measure.ts";
import { RunFolder } from "../../lens/results/run_folder.ts";
import { loadedPair, type ModelPair } from "../../models/model_shelf.ts";
import { withFolder } from "../cli/cli_helpers.ts";
import { embeddedBase, heldOut, LAYER, organism } from "../embedded_helpers.ts";
import { relativeError, run, sharedGpu } from "../helpers.ts";

Deno.test.afterAll(async () => (await sharedGpu()).close());

const HOOK = `blocks.${LAYER}.hook_resid_post`;

interface Opened {
  models: ModelPair;
  base: Transformer;
  finetuned: Transformer;
  /** Documents of 16 tokens, one longer than the others and one short. */
  documents: Uint32Array[];
}

async function open(gpu: Gpu): Promise<Opened> {
  const { base, tokenizer } = await embeddedBase(gpu);
  const tuned = await organism(gpu, base, "cake_bake");
  const [a, b, c, d] = await heldOut(tokenizer, 4);
  return {
    models: loadedPair(base.transformer, tuned.transformer),
    base: base.transformer,
    finetuned: tuned.transformer,
    documents: [a, Uint32Array.of(...b, ...c.subarray(1)), d.subarray(0, 5)],
  };
}

let shared: Promise<Opened> | undefined;
const opened = async () => await (shared ??= open(await sharedGpu()));

const directionsOf = ({ base }: Opened) => randomDirections(base.spec.hiddenSize, 3, 5);

function options(models: Opened, change: Partial<MeasureOptions> = {}): MeasureOptions {
  return {
    models: models.models,
    subject: "finetuned",
    documents: models.documents,
    layer: LAYER,
    directions: directionsOf(models),
    mode: "base",
    ...change,
  };
}

/** One pass a document and direction from the embedding on, with one ordinary edit for every token. */
async function plainSums(
  { subject, other, document, direction, zero }: {
    subject: Transformer;
    other: Transformer;
    document: Uint32Array;
    direction: Float32Array;
    zero: boolean;
  },
): Promise<[number, number]> {
  const width = direction.length;
  const rows = (await run(other, [document], { capture: [HOOK] })).get(HOOK)![0];
  const norm = Math.sqrt(direction.reduce((sum, x) => sum + x * x, 0));
  const edits = Array.from(document, (_, t): Edit => {
    const row = rows.subarray(t * width, (t + 1) * width);
    const component = row.reduce((sum, x, i) => sum + x * direction[i] / norm, 0);
    const scale = zero ? 0 : component;
    return { hook: HOOK, op: "project", vector: direction, scale, positions: [t] };
  });
  const [losses] = await tokenLosses(subject, [document], { edits });
  const sum = (values: Float32Array) => values.reduce((a, b) => a + b, 0);
  // Token 20, the 21st, is the first late one; the loss of token 1 comes first.
  return [sum(losses), sum(losses.subarray(19))];
}

Deno.test("the losses are those of ordinary edits, token by token", async () => {
  const all = await opened();
  const cases = [
    { subject: "finetuned", other: "base", mode: "base" },
    { subject: "base", other: "finetuned", mode: "base" },
    { subject: "finetuned", other: "base", mode: "zero" },
  ] as const;
  for (const { subject, other, mode } of cases) {
    const measured = await measureLosses(options(all, { subject, mode }));
    assertEquals(measured.map(({ tokens }) => tokens), [15, 30, 4]);
    assertEquals(measured.map(({ late }) => late), [0, 11, 0]);
    const models = { subject: all[subject], other: all[other], zero: mode === "zero" };
    for (const [d, document] of all.documents.slice(0, 2).entries()) {
      const { sums, late_sums } = measured[d];
      const plain = await tokenLosses(all[subject], [document]);
      assertEquals(sums[0], plain[0].reduce((a, b) => a + b, 0));
      assertEquals(sums.length, 4);
      for (const [i, direction] of directionsOf(all).entries()) {
        const expected = await plainSums({ ...models, document, direction });
        const found = [sums[i + 1], late_sums[i + 1]];
        const what = `${subject} to ${mode}, document ${d}, direction ${i}: ${found}, ${expected}`;
        assert(relativeError(found, expected) < 1e-5, what);
        assert(Math.abs(found[0] - sums[0]) > 1e-4, "the edit is felt");
      }
    }
  }
});

Deno.test("neither batches nor models that take turns change a bit", async () => {
  const all = await opened();
  const whole = await measureLosses(options(all));
  const turns = { ...all.models, together: false };
  assertEquals(await measureLosses(options(all, { models: turns })), whole);
  for (const [d, document] of all.documents.entries()) {
    assertEquals(await measureLosses(options(all, { documents: [document] })), [whole[d]]);
  }
  const [, second] = directionsOf(all);
  const alone = await measureLosses(options(all, { directions: [second] }));
  assertEquals(alone.map(({ sums }) => sums[1]), whole.map(({ sums }) => sums[2]));
  const seen: number[] = [];
  const resumed = { resume: whole.slice(0, 2), progress: (done: number) => seen.push(done) };
  assertEquals(await measureLosses(options(all, resumed)), whole);
  assertEquals(seen, [3]);
  using small = await Gpu.open({ limits: { maxStorageBufferBindingSize: 96 << 10 } });
  const narrow = await open(small);
  assertEquals(await measureLosses(options(narrow)), whole, "31 tokens a pass");
});

Deno.test("at every layer, the last one too", async () => {
  const all = await opened();
  const documents = all.documents.slice(0, 1);
  for (const layer of [0, all.base.spec.layers - 1]) {
    const [{ sums }] = await measureLosses(options(all, { layer, documents }));
    assert(sums.slice(1).every((sum) => Number.isFinite(sum) && sum !== sums[0]), `layer ${layer}`);
    // A model's own component is no change.
    const same = loadedPair(all.finetuned, all.finetuned);
    const [own] = await measureLosses(options(all, { layer, documents, models: same }));
    assertEquals(own.sums, own.sums.map(() => sums[0]));
  }
});

Deno.test("controls are the same for a seed, and others for another", async () => {
  const { finetuned, documents } = await opened();
  const { hiddenSize } = finetuned.spec;
  assertEquals(randomDirections(hiddenSize, 2, 1), randomDirections(hiddenSize, 3, 1).slice(0, 2));
  assertNotEquals(randomDirections(hiddenSize, 1, 1), randomDirections(hiddenSize, 1, 2));
  const draw = (seed: number, count = 4) =>
    randomDifferences(finetuned, documents, { layer: LAYER, count, seed });
  const [one, again, other] = [await draw(1), await draw(1, 2), await draw(2)];
  assertEquals(one.slice(0, 2), again);
  assertNotEquals(one, other);
  // Each is the difference of two of the activations from the sixth token on.
  const rows = (await run(finetuned, documents, { capture: [HOOK] })).get(HOOK)!.flatMap((values) =>
    Array.from(
      { length: Math.max(0, values.length / hiddenSize - 5) },
      (_, i) => values.slice((5 + i) * hiddenSize, (6 + i) * hiddenSize),
    )
  );
  for (const difference of one) {
    const found = rows.some((a) =>
      rows.some((b) => difference.every((value, i) => value === Math.fround(a[i] - b[i])))
    );
    assert(found, "a difference of two rows");
  }
  assertEquals(await randomDifferences(finetuned, [[5]], { layer: LAYER, count: 3, seed: 1 }), []);
});

/** The step on the three documents, with δ along fixed vectors. */
function stepOf({ models, documents, base }: Opened, folder: RunFolder): CausalRun {
  const [delta] = randomDirections(3 * base.spec.hiddenSize, 1, 9);
  delta.fill(0, 2 * base.spec.hiddenSize);
  return {
    models,
    layer: LAYER,
    means: { delta } as Means,
    positions: [0, 1],
    sets: { finetuning: documents.slice(0, 2), generic: documents },
    mode: "base",
    reverse: false,
    controls: 3,
    seed: 4,
    folder,
    provenance: () => Promise.resolve({ deno: "any" }),
    progress: () => ({ update() {}, done() {} }),
  };
}

Deno.test("the step keeps every document's losses, and is not done twice", async () => {
  const all = await opened();
  await withFolder(async (path) => {
    using folder = await RunFolder.open(path, { fingerprint: { test: 1 } });
    const step = stepOf(all, folder);
    const result = await causalStep(step);
    assertEquals([result.layer, result.mode, result.subject], [LAYER, "base", "finetuned"]);
    assertEquals(result.positions.map(({ position }) => position), [0, 1]);
    const { sets: { finetuning, generic } } = result.positions[1];
    assertEquals([finetuning.tokens, generic.tokens, generic.after_20!.tokens], [45, 49, 11]);
    assertEquals([generic.random!.count, generic.random_difference!.count], [3, 3]);
    assert(
      generic.random!.low <= generic.random!.mean && generic.random!.mean <= generic.random!.high,
    );

    const name = `causal_${LAYER}_base_documents.json`;
    const kept = await folder.readJson(name) as unknown as {
      names: string[];
      sets: Record<string, DocumentLosses[]>;
    };
    assertEquals(kept.names.slice(0, 4), ["unedited", "position_0", "position_1", "random_0"]);
    assertEquals(kept.names.length, 3 + 6);
    const total = (at: number) =>
      kept.sets.generic.reduce((sum, { sums }) => sum + sums[at], 0) / 49;
    assertEquals([generic.loss, generic.intervened], [total(0), total(2)]);

    const nobody = () => Promise.reject(new Error("the models are not asked for"));
    const done = { ...step, models: { ...all.models, base: nobody, finetuned: nobody } };
    assertEquals(await causalStep(done), result);
    const reversed = await causalStep({ ...step, reverse: true });
    assertEquals(reversed.subject, "base");
    assertNotEquals(reversed.positions[0].sets.generic.loss, result.positions[0].sets.generic.loss);
  });
});

Deno.test("an interrupted step goes on where it was, to the same bytes", async () => {
  const all = await opened();
  await withFolder(async (path) => {
    const file = `causal_${LAYER}_base_documents.json`;
    using whole = await RunFolder.open(`${path}/whole`, { fingerprint: {} });
    await causalStep(stepOf(all, whole));
    using parts = await RunFolder.open(`${path}/parts`, { fingerprint: {} });
    const stop = new AbortController();
    const begun: (number | undefined)[] = [];
    const step: CausalRun = {
      ...stepOf(all, parts),
      signal: stop.signal,
      progress: (_label, _total, _unit, from) => {
        begun.push(from);
        const update = (done: number) => done >= 2 && stop.abort(new InterruptedError("Stopped"));
        return { update, done() {} };
      },
    };
    await assertRejects(() => causalStep(step), InterruptedError, "Stopped");
    await causalStep({ ...step, signal: undefined });
    assertEquals(begun, [0, 2], "the finished documents are not measured again");
    assertEquals(await parts.readBytes(file), await whole.readBytes(file));
  });
});

Deno.test("a position without a difference is refused", async () => {
  const all = await opened();
  await withFolder(async (path) => {
    using folder = await RunFolder.open(path, { fingerprint: {} });
    const step = stepOf(all, folder);
    const at = (positions: number[], message: string) =>
      assertRejects(() => causalStep({ ...step, positions }), UsageError, message);
    await at([2], "the difference at position 2: the models do not differ there");
    await at([3], "the difference at position 3: there are those of 0 to 2");
    await at([-1], "there are those of 0 to 2");
  });
});
