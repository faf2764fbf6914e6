/** Fast mode on whole models: near f32, the same bits in any batch, and nothing of it where it was not asked for. */

import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { KvCache } from "../engine/kv_cache.ts";
import type { Transformer } from "../engine/transformer.ts";
import { loadModel } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { HAS_HALF, openBoth } from "./fast_gpu.ts";
import {
  assertSameBits,
  assertSameRun,
  concat,
  fixtureAdapter,
  fixtureModel,
  FIXTURES,
  residPosts,
  type Run,
  run,
  sharedGpu,
  someTokens,
} from "./helpers.ts";

const everything = (model: Transformer) => ["hook_embed", ...residPosts(model), "logits"];

async function inMode(gpu: Gpu, precision: Gpu["precision"], work: () => Promise<Run>) {
  const before = gpu.precision;
  gpu.precision = precision;
  try {
    return await work();
  } finally {
    gpu.precision = before;
  }
}

function relativeL2(actual: Float32Array, expected: Float32Array): number {
  return Math.hypot(...actual.map((value, i) => value - expected[i])) / Math.hypot(...expected);
}

/** One fixture of each kind of block, one of them with an adapter. */
const MODELS = ["llama3_untied", "qwen3_tied", "gemma2", "olmo2", "phi3"];

Deno.test("fast mode is near f32, which the device computes as every other", {
  ignore: !HAS_HALF,
}, async () => {
  using gpu = await openBoth();
  for (const name of MODELS) {
    const models = [await fixtureModel(gpu, name), await fixtureModel(await sharedGpu(), name)];
    if (name === "llama3_untied") {
      for (const [i, base] of models.entries()) {
        models[i] = await fixtureAdapter(base, name, "lora");
      }
    }
    const [model, plain] = models;
    const texts = [someTokens(model, 40, 1), someTokens(model, 3, 2)];
    const once = (model: Transformer) => run(model, texts, { capture: everything(model) });
    const full = await inMode(gpu, "f32", () => once(model));
    assertSameRun(full, await once(plain), `${name} in f32`);
    const fast = await inMode(gpu, "fast", () => once(model));
    for (const [hook, sequences] of fast) {
      if (hook === "hook_embed") continue;
      const error = relativeL2(concat(sequences), concat(full.get(hook)!));
      // Each product is off by some 2^-12 of its size, and the blocks add up.
      assert(error > 1e-6 && error < 5e-3, `${name} ${hook}: ${error}`);
    }
  }
});

Deno.test("in fast mode too a sequence has its bits in any batch, token by token, and streamed", {
  ignore: !HAS_HALF,
}, async () => {
  using gpu = await openBoth();
  gpu.precision = "fast";
  const source = await resolveSource(`${FIXTURES}/qwen3_untied`);
  const { transformer: model } = await loadModel(gpu, source, { stream: false });
  const { transformer: streamed } = await loadModel(gpu, source, { stream: true });
  assert(streamed.weights.stream);
  const texts = [someTokens(model, 40, 1), someTokens(model, 5, 2)];
  const capture = everything(model);
  const whole = await run(model, texts, { capture });
  assertSameRun(await run(streamed, texts, { capture }), whole, "streamed");
  const alone = await run(model, [texts[1]], { capture });
  for (const [hook, [values]] of alone) assertSameBits(values, whole.get(hook)![1], hook);
  const cache = new KvCache(gpu, model.spec, 5);
  const ownStart = cache.reserve(5);
  for (const [i, id] of texts[1].entries()) {
    const place = { prefixStart: 0, prefixLength: 0, ownStart, ownLength: i };
    const one = await run(model, [[id]], { capture, cache }, [place]);
    for (const [hook, [values]] of one) {
      const width = values.length;
      const expected = whole.get(hook)![1].slice(i * width, (i + 1) * width);
      assertSameBits(values, expected, `${hook}, token ${i}`);
    }
  }
  cache.destroy();
  for (const one of [model, streamed]) one.destroy();
});

Deno.test(
  "in fast mode an activation of 1e5 overflows nothing",
  { ignore: !HAS_HALF },
  async () => {
    using gpu = await openBoth();
    const model = await fixtureModel(gpu, "llama3_tied");
    const vector = new Float32Array(model.spec.hiddenSize);
    vector[3] = 1e5;
    const edits = [{ hook: "blocks.0.hook_resid_pre", op: "add" as const, vector, scale: 1 }];
    const capture = [...residPosts(model), "logits"];
    const once = () => run(model, [someTokens(model, 9, 1)], { capture, edits });
    const [full, fast] = [await inMode(gpu, "f32", once), await inMode(gpu, "fast", once)];
    for (const [hook, [values]] of fast) {
      assert(values.every(Number.isFinite), hook);
      assert(relativeL2(values, full.get(hook)![0]) < 5e-3, hook);
    }
    assertEquals(full.get("blocks.0.hook_resid_post")![0].some((x) => Math.abs(x) > 65504), true);
  },
);

Deno.test(
  "the rows of each input of a block are measured once",
  { ignore: !HAS_HALF },
  async () => {
    using gpu = await openBoth();
    const model = await fixtureModel(gpu, "llama3_untied");
    gpu.precision = "fast";
    const recorder = gpu.record();
    const { dispatch } = recorder;
    const names: string[] = [];
    recorder.dispatch = (kernel, ...rest) => {
      names.push(kernel.name);
      dispatch.call(recorder, kernel, ...rest);
    };
    const batch = model.batch([someTokens(model, 40, 1)]);
    model.record(recorder, batch, { capture: ["logits"] }).release();
    recorder.close();
    // What goes into q, k and v, into their output, into gate and up, and into down.
    const count = (kernel: string) => names.filter((name) => name === kernel).length;
    const { layers } = model.spec;
    assertEquals([count("row_scale"), count("matmul_half")], [4 * layers, 7 * layers]);
    model.destroy();
  },
);
