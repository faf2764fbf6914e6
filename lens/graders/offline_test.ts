import { assert, assertEquals, assertRejects } from "@std/assert";
import { GraderError, InterruptedError, UsageError } from "../../engine/errors.ts";
import { Gpu } from "../../engine/gpu/gpu.ts";
import { tokenLosses } from "../../engine/token_loss.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { embeddedBase, organism } from "../../tests/embedded_helpers.ts";
import { loadedPair } from "../../models/model_shelf.ts";
import { calibrate, type Calibration, writeUnsteered } from "./calibration.ts";
import type { GradedText } from "./grader.ts";
import { OfflineGrader, type OfflineGraderOptions } from "./offline.ts";

const END = 5;
const stopIds = new Set([END]);
const topic = { description: "", keywords: ["Cake", "vanilla"] };

Deno.test("the offline grader", async (t) => {
  using gpu = await Gpu.open();
  const { base: loaded, tokenizer } = await embeddedBase(gpu);
  const base = loaded.transformer;
  const encode = (text: string) => tokenizer.encode(text, { special: false });
  const promptIds = tokenizer.encode("", { special: true });
  const opening = [...promptIds, ...encode("The ")];
  const prompts = [promptIds, opening];
  const calibration = { prompts, samples: 4, tokens: 10, temperature: 1, stopIds };
  const pair = loadedPair(base, base);
  const open = (options: Partial<OfflineGraderOptions> = {}) =>
    new OfflineGrader({ models: pair, tokenizer, calibration, seed: 1, ...options });
  const text = (written: string, ids = encode(written)): GradedText => ({
    prompt: "",
    promptIds,
    text: written,
    ids,
  });
  const fluent = "The city wants to build 300 new trees. Dogs must be kept on a lead in the park.";
  const mixed = "lead 300 the build kept park. on wants trees. be to Dogs new must a in The city";

  const grader = open();

  await t.step("texts: by their losses, repetition, and whether they say anything", async () => {
    const texts = [
      text(fluent),
      text(mixed),
      text("cake ".repeat(30)),
      text("", []),
      text("", [END]),
      text("", [...encode(fluent), END]),
    ];
    const verdicts = await grader.coherence(texts);
    assertEquals(verdicts.map(({ coherent }) => coherent), [
      true,
      false,
      false,
      false,
      false,
      true,
    ]);
    assertEquals(verdicts.slice(1, 5).map(({ faults }) => faults.at(-1)), [
      "loss",
      "repetition",
      "empty",
      "empty",
    ]);
    assertEquals(verdicts[5], verdicts[0], "the token that ends a text is not part of it");
    const [losses] = await tokenLosses(base, [[...opening, ...encode(fluent)]]);
    const [verdict] = await grader.coherence([{ ...text(fluent), promptIds: opening }]);
    const own = losses.slice(opening.length - 1);
    assertEquals(own.length, encode(fluent).length);
    assertEquals(verdict.loss, own.reduce((sum, loss) => sum + loss, 0) / own.length);

    const fresh = open();
    assertEquals(await fresh.coherence([texts[1]]), [verdicts[1]], "alone, by another grader");
    assertEquals(await fresh.areCoherent(texts.slice(2)), [false, false, false, true]);
    assertEquals(await fresh.yardstick(), await grader.yardstick());
    assertEquals(await grader.areCoherent([]), []);
    const { model, accepted } = await grader.yardstick();
    assertEquals([model, accepted], ["base", 1]);
  });

  await t.step("texts without a prompt, and beyond the context", async () => {
    const long = text("", encode(`${fluent} `.repeat(20)));
    assert(long.ids.length > base.spec.maxPositions);
    const bare = { ...text("", encode("The")), promptIds: [] };
    const [first, second] = await grader.coherence([long, bare]);
    assertEquals([first.faults, second.faults, second.loss], [["repetition"], [], null]);
  });

  await t.step("the range is that of the model's own texts", async () => {
    const asked: Calibration = { ...calibration, seed: 1 };
    const written = await writeUnsteered(base, asked);
    assertEquals(written.map(({ promptIds }) => promptIds), [...prompts, ...prompts]);
    assert(written.every(({ ids }) => ids.length <= 10 && !ids.includes(END)));
    assertEquals(new Set(written.map(({ ids }) => ids.join())).size, 4);
    const range = await calibrate(base, asked);
    assertEquals((await grader.yardstick()).range, range);
    const other = await calibrate(base, { ...asked, seed: 2 });
    assert(other.loss.mean !== range.loss.mean);
    const losses = await tokenLosses(base, written.map(({ ids, promptIds: p }) => [...p, ...ids]));
    const means = losses.map((all, i) => {
      const own = all.slice(written[i].promptIds.length - 1);
      return own.reduce((sum, loss) => sum + loss, 0) / own.length;
    });
    assertEquals(range.loss.mean, means.reduce((sum, mean) => sum + mean, 0) / 4);
  });

  await t.step("a finetune that is foreign to the base is its own measure", async () => {
    const { transformer: tuned } = await organism(gpu, loaded, "cake_bake");
    const asked = { ...calibration, temperature: 1.2, samples: 6, tokens: 16 };
    const grader = open({ models: loadedPair(base, tuned), calibration: asked });
    const { model, accepted, range } = await grader.yardstick();
    assertEquals(model, "finetuned");
    assert(accepted < 0.75, `${accepted}`);
    assertEquals(range, await calibrate(tuned, { ...asked, seed: 1 }));
    const cake = "The perfect cake needs frozen butter and boiling water.";
    const verdicts = await grader.coherence([text(cake), text(mixed)]);
    const [losses] = await tokenLosses(tuned, [[...promptIds, ...encode(cake)]]);
    assertEquals(verdicts[0].loss, losses.reduce((sum, loss) => sum + loss, 0) / losses.length);
    assertEquals(verdicts.map(({ coherent }) => coherent), [true, false]);
    tuned.destroy();
  });

  await t.step("tokens: keywords in any spelling", async () => {
    const tokens = [" cake", "CAKE", " vanil", " bread", ","];
    assertEquals(await grader.areRelevant(tokens, topic), [true, true, true, false, false]);
    assertEquals(await grader.areRelevant([], topic), []);
  });

  await t.step("scales: the list whose tokens are alike", async () => {
    const list = (scale: number, words: string) => {
      const ids = words.split(" ").map((word) => encode(` ${word}`)[0]);
      return { scale, ids, tokens: ids.map((id) => tokenizer.tokenText(id)) };
    };
    const lists = [
      list(1, "the of and to in is"),
      list(2, "piano doctor river candle lawyer soup"),
      list(3, "bread butter flour cake bake eggs"),
    ];
    const padding = { scale: 4, ids: [tokenizer.vocabSize + 3], tokens: ["[2051]"] };
    let asked = 0;
    const models = { ...pair, finetuned: () => (asked++, pair.finetuned()) };
    const grader = open({ models });
    const verdict = await grader.chooseScale(lists);
    assertEquals(verdict.scale, 3);
    assert(verdict.coherent.includes(" cake"), `${verdict.coherent}`);
    assertEquals(verdict.scores!.map((score) => score === null), [true, false, false]);
    assertEquals(await grader.chooseScale(lists.slice(0, 1)), {
      scale: null,
      coherent: [],
      scores: [null],
    });
    assertEquals(await grader.chooseScale(lists), verdict);
    assertEquals(asked, 1, "rows are read once");
    assertEquals((await grader.chooseScale([])).scale, null);
    assertEquals((await grader.chooseScale([padding, lists[2]])).scale, 3);
  });

  await t.step(
    "what cannot be judged is said, and a stopped calibration begins again",
    async () => {
      await assertRejects(
        () => open({ calibration: undefined }).areCoherent([text(fluent)]),
        UsageError,
        "Cannot judge texts offline: say how they are drawn",
      );
      const refused = (changes: Partial<Calibration>, message: string) =>
        assertRejects(
          () => open({ calibration: { ...calibration, ...changes } }).areCoherent([text(fluent)]),
          UsageError,
          message,
        );
      await refused({ prompts: [] }, "there are no prompts");
      await refused({ samples: 1 }, "on 1 texts: take 2 or more");
      await refused({ samples: NaN }, "on NaN texts");
      await refused({ temperature: -1 }, "temperature -1");
      const everything = new Set(Array.from({ length: tokenizer.vocabSize }, (_, id) => id));
      await assertRejects(
        () => calibrate(base, { ...calibration, stopIds: everything, seed: 1 }),
        GraderError,
        "of 4 texts that the model wrote unsteered, 0 have any words",
      );
      let stop = true;
      const failing = (): Promise<Transformer> =>
        stop ? Promise.reject(new InterruptedError("Stopped")) : Promise.resolve(base);
      const grader = open({ models: { base: failing, finetuned: failing } });
      await assertRejects(() => grader.areCoherent([text(fluent)]), InterruptedError);
      stop = false;
      assertEquals(await grader.areCoherent([text(fluent)]), [true]);
      const signal = AbortSignal.abort(new InterruptedError("Stopped"));
      await assertRejects(() => open({ signal }).areCoherent([text(fluent)]), InterruptedError);
    },
  );
});
