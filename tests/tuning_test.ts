/** A tuning decides about time alone: a model that is tuned to extremes says the same, bit by bit. */

import { assert, assertEquals } from "@std/assert";
import { generate } from "../engine/generation/generate.ts";
import { type Choices, type KnobName, KNOBS, Tuning } from "../engine/gpu/tuning.ts";
import { assertSameRun, residPosts, run, sharedGpu, someTokens } from "./helpers.ts";
import { embeddedBase } from "./invariance_suite.ts";

/** For each class of each knob one of its choices. */
function tuningOf(pick: (choices: readonly string[], place: number) => string): Tuning {
  const choices: Choices[] = (Object.keys(KNOBS) as KnobName[]).map((knob) => {
    let keys: string[] = [knob];
    for (const ends of Object.values<readonly number[]>(KNOBS[knob].sizes)) {
      keys = keys.flatMap((key) => [...ends, "max"].map((end) => `${key}/${end}`));
    }
    return Object.fromEntries(keys.map((key, i) => [key, pick(KNOBS[knob].choices, i)]));
  });
  return new Tuning(Object.assign({}, ...choices));
}

const EXTREMES: Record<string, Tuning> = {
  "the first choices": tuningOf((choices) => choices[0]),
  "the last choices": tuningOf((choices) => choices.at(-1)!),
  "textures always": tuningOf((choices) => choices.includes("texel") ? "texel" : choices[0]),
  "another for each size": tuningOf((choices, i) => choices[(3 * i + 1) % choices.length]),
};

Deno.test("what a model computes and writes does not depend on the tuning", async () => {
  const gpu = await sharedGpu();
  const model = await embeddedBase(gpu);
  const texts = [someTokens(model, 70, 1), someTokens(model, 5, 2), someTokens(model, 1, 3)];
  const answer = async () => ({
    captures: await run(model, texts, { capture: [...residPosts(model), "logits"] }),
    written: (await generate(model, {
      prompts: texts.slice(0, 2),
      maxNewTokens: 6,
      sampling: { temperature: 0.9, topK: 40, topP: 0.9, repetitionPenalty: 1.1, seed: 3 },
    })).map(({ ids }) => ids),
  });
  const expected = await answer();
  const kernels = gpu.kernels.list().length;
  try {
    for (const [name, tuning] of Object.entries(EXTREMES)) {
      gpu.tuning = tuning;
      const { captures, written } = await answer();
      assertSameRun(captures, expected.captures, name);
      assertEquals(written, expected.written, name);
    }
    // The test would say nothing if the same kernels had run.
    assert(gpu.kernels.list().length > kernels + 8);
  } finally {
    gpu.tuning = Tuning.none;
    model.destroy();
  }
});
