import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import type { Means } from "../engine/activation_means.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { loadFinetuned, loadModel, loadTokenizer } from "../models/load_model.ts";
import { loadedPair } from "../models/model_shelf.ts";
import { resolveSource } from "../models/source.ts";
import type { ScaleList } from "./graders/grader.ts";
import { OfflineGrader } from "./graders/offline.ts";
import { PATCHSCOPE_SCALES } from "./patchscope.ts";
import { gradeScales, readLayer, type ReadoutOptions } from "./readout.ts";

const HIDDEN = 192;
const TOKENS = 7;
/** The last: Patchscope has no layers to run after it, which is quick. */
const LAYER = 5;

/** Vectors that are unlike each other and at no position alike. */
const vectors = (shift: number) =>
  Float32Array.from({ length: TOKENS * HIDDEN }, (_, i) => Math.sin(i * (1 + shift) + shift));

const MEANS: Means = {
  documents: 3,
  delta: vectors(1),
  base: vectors(2),
  finetuned: vectors(3),
  baseNorm: new Float32Array(TOKENS).fill(40),
  finetunedNorm: Float32Array.of(500, 50, 50, 50, 50, 30, 10),
};

async function withModels(run: (options: ReadoutOptions) => Promise<void>): Promise<void> {
  using gpu = await Gpu.open();
  const base = await loadModel(gpu, await resolveSource("embedded:base"));
  const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
  const tokenizer = await loadTokenizer(base.source, base.transformer.spec);
  await run({
    models: loadedPair(base.transformer, tuned.transformer),
    tokenizer,
    layer: LAYER,
    means: MEANS,
    positions: [1, 4],
    seed: 0,
  });
}

Deno.test("readLayer()", (t) =>
  withModels(async (options) => {
    const reports: number[][] = [];
    const progress = (...report: [number, number]) => reports.push(report);
    const whole = await readLayer({ ...options, sibling: vectors(4), progress });

    await t.step("reads every vector at the positions that were asked for", () => {
      assertEquals([whole.layer, whole.typical_norm], [LAYER, 20]);
      assertEquals(whole.positions.map(({ position }) => position), [1, 4]);
      const names = ["base", "difference", "finetuned", "random_1", "random_2", "random_3"];
      for (const at of whole.positions) {
        assertEquals(Object.keys(at.logit_lens).sort(), [...names, "sibling"]);
        assertEquals(Object.keys(at.patchscope).sort(), [...names, "sibling"]);
        const delta = MEANS.delta.subarray(at.position * HIDDEN, (at.position + 1) * HIDDEN);
        assertAlmostEquals(at.delta_norm, Math.hypot(...delta), 1e-5);
        assertAlmostEquals(at.relative_norm, at.delta_norm / 50, 1e-7);
      }
    });

    await t.step("keeps the lists of all scales, and shows that of scale 1", () => {
      for (const { patchscope } of whole.positions) {
        for (const [name, read] of Object.entries(patchscope)) {
          assertEquals(read.scales.map(({ scale }) => scale), [...PATCHSCOPE_SCALES]);
          assertEquals([read.scale, read.coherent], [null, []]);
          assertEquals(read.tokens, read.scales.find(({ scale }) => scale === 1)!.tokens);
          // Nulls are read as they are: their other sign is one more draw of the same.
          const signed = ["difference", "base", "finetuned"].includes(name);
          assertEquals(read.negative?.length, signed ? PATCHSCOPE_SCALES.length : undefined);
        }
      }
    });

    await t.step("gradeScales() shows the list of the scale that was chosen", async () => {
      const grader = new OfflineGrader(options);
      const seen: number[][] = [];
      const graded = await gradeScales(whole, grader, (...report) => seen.push(report));
      assertEquals([seen[0], seen.at(-1)], [[0, 14], [14, 14]]);
      for (const [i, { patchscope }] of graded.positions.entries()) {
        for (const [name, read] of Object.entries(patchscope)) {
          const before = whole.positions[i].patchscope[name];
          assertEquals(
            read.scales.map(({ tokens }) => tokens),
            before.scales.map(({ tokens }) => tokens),
          );
          assertEquals(read.negative, before.negative);
          const shown = read.scales.find(({ scale }) => scale === (read.scale ?? 1))!;
          assertEquals(read.tokens, shown.tokens);
          const scores = read.scales.map(({ score }) => score ?? -Infinity);
          if (read.scale !== null) assertEquals(shown.score, Math.max(...scores));
        }
      }
      assertEquals(await gradeScales(graded, grader), graded);
    });

    await t.step(
      "gradeScales() takes a grader's choice in any order, and none of the one before",
      async () => {
        const asked: number[] = [];
        const chooseScale = async (lists: readonly ScaleList[]) => {
          const number = asked.push(lists.length);
          // The first to be asked is the last to answer.
          for (let wait = 0; wait < 20 - number; wait++) await Promise.resolve();
          return number === 1
            ? { scale: null, coherent: [] }
            : { scale: lists[number].scale, coherent: [lists[number].tokens[0]] };
        };
        const graded = await gradeScales(whole, { chooseScale, sideBySide: 3 });
        assertEquals(asked, Array(14).fill(PATCHSCOPE_SCALES.length));
        const read = graded.positions.flatMap(({ patchscope }) => Object.values(patchscope));
        assertEquals(read[0].scale, null);
        assertEquals(read.slice(1).map(({ scale }) => scale), PATCHSCOPE_SCALES.slice(2, 15));
        for (const { scales, tokens, coherent } of read.slice(1)) {
          assertEquals(coherent, [tokens[0].token]);
          assert(scales.every(({ score }) => score === null));
        }
      },
    );

    await t.step("reports its progress up to the end", () => {
      const total = 2 * (3 * 60 + 4 * 30);
      assertEquals(reports[0], [0, total]);
      assertEquals(reports.at(-1), [total, total]);
      assert(reports.every(([done], i) => i === 0 || done > reports[i - 1][0]));
    });

    await t.step("reads a position alike, whatever is read beside it", async () => {
      const alone = await readLayer({ ...options, sibling: vectors(4), positions: [4] });
      assertEquals(alone.positions[0], whole.positions[1]);
    });

    await t.step("finds the row of a position by the first one's name", async () => {
      const { positions: [at] } = await readLayer({
        ...options,
        firstPosition: -3,
        positions: [-2],
      });
      const row = MEANS.delta.subarray(HIDDEN, 2 * HIDDEN);
      assertEquals(at.position, -2);
      assertAlmostEquals(at.delta_norm, Math.hypot(...row), 1e-5);
      assertAlmostEquals(at.relative_norm, at.delta_norm / 50, 1e-7);
      // −2 is the same row as 1 was.
      assertEquals(at.logit_lens.base, whole.positions[0].logit_lens.base);
    });

    await t.step("leaves out what has no direction", async () => {
      const delta = new Float32Array(TOKENS * HIDDEN);
      const means = { ...MEANS, delta };
      const { positions: [at] } = await readLayer({ ...options, means, positions: [0] });
      assertEquals([at.delta_norm, at.relative_norm], [0, 0]);
      assertEquals(Object.keys(at.logit_lens), ["base", "finetuned"]);
      assertEquals(Object.keys(at.patchscope), ["base", "finetuned"]);
    });

    await t.step("stops when it is told to", async () => {
      const stop = new AbortController();
      stop.abort(new Error("enough"));
      await assertRejects(() => readLayer({ ...options, signal: stop.signal }), Error, "enough");
    });
  }));
