import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Gpu } from "../../engine/gpu/gpu.ts";
import { loadFinetuned, loadModel, loadTokenizer } from "../../models/load_model.ts";
import { resolveSource } from "../../models/source.ts";
import type { GradedText, Grader } from "../graders/grader.ts";
import { drawTexts, findAlpha, sampleTexts, type SteeringTarget } from "./steer.ts";

const DRAWING = { temperature: 1, tokens: 6, samples: 2 };

/** The embedded organism with a made-up direction, and two prompts. */
async function withTarget(run: (target: SteeringTarget, prompts: Prompts) => Promise<void>) {
  using gpu = await Gpu.open();
  const base = await loadModel(gpu, await resolveSource("embedded:base"));
  const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
  const tokenizer = await loadTokenizer(base.source, base.transformer.spec);
  const model = tuned.transformer;
  const vector = Float32Array.from({ length: model.spec.hiddenSize }, (_, i) => Math.sin(i));
  const prompts = ["The oven", "A letter came"].map((text) => ({
    text,
    ids: tokenizer.encode(text, { special: true }),
  }));
  const target = { model: () => Promise.resolve(model), tokenizer };
  await run({ ...target, layer: 2, vector, stopIds: new Set(), seed: 3 }, prompts);
}

type Prompts = { text: string; ids: number[] }[];

/** Accepts texts by a rule on their count so far. */
function grader(accepts: (text: GradedText) => boolean, seen: GradedText[][] = []): Grader {
  const never = () => Promise.reject(new Error("not asked for"));
  return {
    sideBySide: 1,
    name: "test",
    chooseScale: never,
    areRelevant: never,
    areCoherent: (texts) => {
      seen.push([...texts]);
      return Promise.resolve(texts.map(accepts));
    },
  };
}

Deno.test("steering", (t) =>
  withTarget(async (target, prompts) => {
    const all = await drawTexts(target, prompts, [0, 4], DRAWING);

    await t.step("a text of one strength is the same alone, to the last token", async () => {
      assertEquals([all.length, all[0].length, all[0][0].length], [2, 2, 2]);
      const [[alone]] = await drawTexts(target, [prompts[0]], [4], DRAWING);
      assertEquals(alone, all[0][1]);
      assertNotEquals(all[0][0][0].ids, all[0][1][0].ids);
      assertNotEquals(all[0][0][0].ids, all[0][0][1].ids);
      const [[other]] = await drawTexts({ ...target, seed: 4 }, [prompts[0]], [4], DRAWING);
      assertNotEquals(other, alone);
    });

    await t.step("samples are steered and not, side by side", async () => {
      const samples = await sampleTexts(target, prompts, 4, DRAWING);
      assertEquals(samples.map(({ prompt }) => prompt), ["The oven", "A letter came"]);
      samples.forEach(({ steered, unsteered }, p) => {
        assertEquals(unsteered, all[p][0].map(({ text }) => text));
        assertEquals(steered, all[p][1].map(({ text }) => text));
      });
    });

    await t.step("the search grades every text, and averages over the prompts", async () => {
      const seen: GradedText[][] = [];
      const reports: number[][] = [];
      const options = { drawing: DRAWING, decisions: 6, highest: 16 };
      const yes = grader(() => true, seen);
      const found = await findAlpha(
        target,
        prompts,
        yes,
        options,
        (...report) => reports.push(report),
      );
      assertEquals(found.searches.map(({ strength }) => strength), [15.75, 14]);
      assertEquals(found.alpha, (15.75 + 14) / 2);
      // Two batches of seven strengths with two texts each, then one.
      assertEquals(seen.map(({ length }) => length), [14, 14, 14]);
      assertEquals(seen[2][0].promptIds, prompts[1].ids);
      assertEquals(reports, [[0, 3], [1, 3], [2, 3], [3, 3]]);
      const none = await findAlpha(target, prompts, grader(() => false), options);
      assertEquals([none.alpha, none.searches.map(({ rounds }) => rounds.length)], [0, [2, 0]]);
    });

    await t.step("three texts in four must be coherent", async () => {
      let count = 0;
      const three = grader(() => ++count % 4 !== 0);
      const options = { drawing: { ...DRAWING, samples: 4, tokens: 1 }, decisions: 1, highest: 2 };
      assertEquals((await findAlpha(target, [prompts[0]], three, options)).alpha, 1);
      count = 0;
      const two = grader(() => ++count % 2 === 0);
      const found = await findAlpha(target, [prompts[0]], two, options);
      assertEquals(found.alpha, 0);
      assert(found.searches[0].rounds[0].coherent[0] === 0.5);
    });
  }));
