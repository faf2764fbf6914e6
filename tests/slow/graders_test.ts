/** The offline grader on obvious cases; `bench/graders/agreement.ts` prints them in full. */

import { assert, assertEquals } from "@std/assert";
import {
  baseGrader,
  judgeScales,
  judgeTexts,
  judgeTokens,
  openBench,
} from "../../bench/graders/measure.ts";
import { Gpu } from "../../engine/gpu/gpu.ts";
import { agreementByKind, agreementOf } from "../../lens/graders/labelled/agreement.ts";

Deno.test("the offline grader agrees with obvious cases", async (t) => {
  using gpu = await Gpu.open();
  const bench = await openBench(gpu);
  const grader = baseGrader(bench, { temperature: 1.2, seed: 0 });

  await t.step("texts", async () => {
    const size = { each: 10, tokens: 64, seed: 0 };
    const judged = await judgeTexts(grader, bench.sources, size);
    const all = agreementOf(judged);
    assertEquals(all.cases, 120);
    const found = JSON.stringify([...agreementByKind(judged)]);
    assert(all.right / all.cases >= 0.95, found);
    assert(all.falseRejects <= 2, found);
    for (const [kind, { right, cases }] of agreementByKind(judged)) {
      assert(right / cases >= 0.8, `${kind}: ${found}`);
    }
  });

  await t.step("tokens: every keyword, and nothing that is none", async () => {
    for (
      const [kind, { right, cases }] of agreementByKind(
        await judgeTokens(grader, bench.tokenizer, 0),
      )
    ) {
      // The rules know no word but the keywords.
      const least = kind === "words of the topic that are no keywords" ? 0 : 1;
      assert(right / cases >= least, `${kind}: ${right} of ${cases}`);
    }
  });

  await t.step("scales: a list of which half is one topic", async () => {
    const size = { share: 10, draws: 5, seed: 0 };
    const { right, cases, precision } = await judgeScales(grader, bench.tokenizer, size);
    assert(right / cases >= 0.8, `${right} of ${cases}`);
    assert(precision >= 0.8, `${precision}`);
  });
});
