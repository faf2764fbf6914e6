/** A tuning decides about time alone: a model that is tuned to extremes says the same, bit by bit. */

import { assert, assertEquals } from "@std/assert";
import { generate } from "../engine/generation/generate.ts";
import { type Choices, type KnobName, KNOBS, Tuning } from "../engine/gpu/tuning.ts";
import { testMatrix } from "../engine/ops/matrix_reference.ts";
import { matmul } from "../engine/ops/matmul.ts";
import { assertSameRun, residPosts, run, sharedGpu, someTokens } from "./helpers.ts";
import { recorded } from "./hooks_helpers.ts";
import { embeddedBase } from "./invariance_suite.ts";
import { closeTestGpus, normals, testGpu } from "./test_gpu.ts";

Deno.test.afterAll(closeTestGpus);

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

Deno.test("without a tuning, attention goes by blocks of tokens from 32 on, through textures where a load from a buffer is dear", async () => {
  for (
    const [profile, tokens, kernel] of [
      ["software", 31, "attention"],
      ["software", 32, "attention_texel"],
      ["discrete", 31, "attention_workgroup"],
      ["discrete", 32, "attention_tiled"],
    ] as const
  ) {
    const gpu = await testGpu(profile);
    const model = await embeddedBase(gpu);
    const { kernels } = recorded(model, model.batch([someTokens(model, tokens, 1)]), {
      capture: residPosts(model),
    });
    const names = kernels.filter((name) => name.startsWith("attention"));
    assertEquals(names, [kernel], `${tokens} tokens, ${profile}`);
    model.destroy();
  }
});

Deno.test("without a tuning, unpacked products of four rows and enough work go through textures there", async () => {
  for (
    const [profile, rows, [n, k], texel] of [
      ["software", 4, [512, 512], true],
      ["software", 3, [512, 512], false],
      ["software", 16, [64, 192], false],
      ["software", 32, [64, 192], true],
      ["discrete", 32, [512, 512], false],
    ] as const
  ) {
    const gpu = await testGpu(profile);
    const { matrix: weight } = await testMatrix(gpu, normals(1, n * k), [n, k], "BF16");
    const [x, y] = [gpu.tensor([rows, k]), gpu.tensor([rows, n])];
    const recorder = gpu.record();
    matmul(recorder, { x: x.buffer, weight, y: y.buffer, rows });
    const names = recorder.kernels.map(({ name }) => name);
    recorder.close();
    for (const tensor of [x, y]) tensor.release();
    assertEquals(names.includes("matmul_texel"), texel, `${rows} × ${n} × ${k}, ${profile}`);
  }
});
