/** What each hook captures, where a pass begins and ends, and what hooks cost. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { DEVICE_PROFILES } from "../engine/gpu/profile.ts";
import { type Edit, hookWidth } from "../engine/hooks.ts";
import { KvCache } from "../engine/kv_cache.ts";
import type { ForwardRequest, Transformer } from "../engine/transformer.ts";
import {
  assertSameBits,
  assertSameRun,
  concat,
  fixtureAdapter,
  fixtureModel,
  run,
  sharedGpu,
  someVector,
} from "./helpers.ts";
import { allHooks, hookKinds, LENGTHS, openModel, recorded, texts } from "./hooks_helpers.ts";

Deno.test("what the hooks capture", async () => {
  const model = await openModel();
  const hooks = allHooks(model);
  const found = await run(model, texts(model), { capture: hooks });
  assertEquals([...found.keys()], hooks);
  const sum = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + b[i]);
  LENGTHS.forEach((length, s) => {
    const at = (hook: string) => found.get(hook)![s];
    for (const hook of hooks) {
      assertEquals(at(hook).length, length * hookWidth(model.spec, hook), hook);
    }
    assertSameBits(at("blocks.0.hook_resid_pre"), at("hook_embed"), "embedding");
    for (let i = 0; i < model.spec.layers; i++) {
      const block = (point: string) => at(`blocks.${i}.${point}`);
      // f32 addition: the sum of two f32 in double, rounded once more by the array.
      const mid = sum(block("hook_resid_pre"), block("hook_attn_out"));
      assertSameBits(block("hook_resid_mid"), mid, `resid_mid of ${i}`);
      const post = sum(mid, block("hook_mlp_out"));
      assertSameBits(block("hook_resid_post"), post, `resid_post of ${i}`);
      if (i === 0) continue;
      const previous = at(`blocks.${i - 1}.hook_resid_post`);
      assertSameBits(block("hook_resid_pre"), previous, `resid_pre of ${i}`);
    }
  });
  model.destroy();
});

// Gemma's sublayers end with a norm, which is a step of its own only where somebody wants what it makes.
for (const name of ["llama3_untied", "gemma3_text"]) {
  Deno.test(`each hook alone gives what it gives beside the others (${name})`, async () => {
    const model = await openModel(name);
    const all = await run(model, texts(model), { capture: allHooks(model) });
    for (const hook of hookKinds()) {
      const alone = await run(model, texts(model), { capture: [hook] });
      assertSameRun(alone, new Map([[hook, all.get(hook)!]]), hook);
    }
    model.destroy();
  });
}

Deno.test("a pass that starts at a layer goes on as the whole pass does", async () => {
  const model = await openModel();
  const after = ["blocks.2.hook_resid_mid", "blocks.3.hook_resid_post", "logits"];
  for (const layer of [0, 2]) {
    const before = layer === 0 ? "hook_embed" : `blocks.${layer - 1}.hook_resid_post`;
    const whole = await run(model, texts(model), { capture: [before, ...after] });
    const values = concat(whole.get(before)!);
    const { hiddenSize } = model.spec;
    const resid = model.gpu.tensorFrom(values, [values.length / hiddenSize, hiddenSize]);
    const rest = await run(model, texts(model), { capture: after, start: { layer, resid } });
    resid.release();
    whole.delete(before);
    assertSameRun(rest, whole, `from layer ${layer} on`);
  }
  model.destroy();
});

Deno.test("what is not asked for costs no dispatch, and a pass ends after the last hook", async () => {
  // On a real GPU each op is one dispatch; for software adapters some are cut into many.
  using gpu = await Gpu.open({ profile: "discrete" });
  const model = await fixtureModel(gpu, "llama3_untied");
  const { layers, hiddenSize } = model.spec;
  const batch = model.batch(texts(model));
  const dispatches = (request: ForwardRequest) => recorded(model, batch, request).dispatches;
  const whole = dispatches({ capture: ["logits"] });
  // Embedding; a block's two norms, seven matrices, two rotations, attention, SwiGLU; final norm and head.
  assertEquals(whole, 1 + 13 * layers + 2);
  // What a sublayer adds to the residual stream is a buffer of its own, and a sum, only where somebody wants it.
  assertEquals(dispatches({ capture: allHooks(model) }), whole + 2 * layers);
  const vector = someVector(hiddenSize, 9);
  const edit: Edit = { hook: "blocks.1.hook_mlp_out", op: "add", vector };
  assertEquals(dispatches({ capture: ["logits"], edits: [edit] }), whole + 2);
  assertEquals(
    dispatches({ capture: ["logits"], edits: [{ ...edit, positions: [99] }] }),
    whole + 1,
  );
  assertEquals(dispatches({}), 0);

  const hooks = allHooks(model);
  const counts = hooks.map((hook) => dispatches({ capture: [hook] }));
  assertEquals(counts[0], 1);
  assertEquals(counts[hooks.indexOf("blocks.0.hook_resid_post")], 1 + 13);
  assertEquals(counts.at(-1), whole);
  assertEquals(counts, counts.toSorted((a, b) => a - b));
  // An edit after the last capture is never reached.
  assertEquals(dispatches({ capture: ["blocks.0.hook_resid_post"], edits: [edit] }), 1 + 13);
  model.destroy();
});

Deno.test("on GPUs a norm after a sublayer is one dispatch, the sum with it", async () => {
  using gpu = await Gpu.open({ profile: "discrete" });
  const model = await fixtureModel(gpu, "gemma3_text");
  const { layers } = model.spec;
  const batch = model.batch(texts(model));
  const dispatches = (capture: string[]) => recorded(model, batch, { capture }).dispatches;
  const whole = dispatches(["logits"]);
  // Embedding; a block's four norms and two of heads, seven matrices, two rotations, attention, GeGLU; final norm and head.
  assertEquals(whole, 1 + 17 * layers + 2);
  // Somebody who looks gets what the norm makes, and the sum is a dispatch of its own.
  assertEquals(dispatches(allHooks(model)), whole + 2 * layers);
  model.destroy();
});

/** Qwen 2 has biases, Qwen 3 norms of q and k; Gemmas a norm after each sublayer too, which adds what it makes. */
const DECODED = ["qwen3_tied", "gemma2", "gemma3_text", "llama3_untied", "qwen2_untied"];

/** The fixtures whose matrices lie in textures: not all of the others' are whole blocks of rows. */
const PACKED = ["qwen3_tied", "gemma2", "gemma3_text"];

for (const profile of DEVICE_PROFILES) {
  Deno.test(`a step of decoding is five dispatches a layer (${profile})`, async () => {
    using gpu = await Gpu.open({ profile });
    for (const name of DECODED) {
      if (profile === "software" && !PACKED.includes(name)) continue;
      // The next product does the norm after a sublayer, if nobody looks before; the last one stands alone.
      const left = name.startsWith("gemma") ? 1 : 0;
      const model = await fixtureModel(gpu, name);
      const { layers, hiddenSize, finalSoftcap } = model.spec;
      const cache = new KvCache(gpu, model.spec, 40);
      const places = [7, 0, 3].map((ownLength, s) => ({
        prefixStart: 30,
        prefixLength: s === 0 ? 0 : 5,
        ownStart: 10 * s,
        ownLength,
      }));
      const batch = model.batch([[1], [2], [3]], places);
      const steps = (request: ForwardRequest) =>
        recorded(model, batch, { cache, ...request }).dispatches;
      const whole = steps({ capture: ["logits"] });
      // Embedding; final norm and head, and what caps logits.
      assertEquals(whole, 1 + 5 * layers + left + (finalSoftcap === null ? 2 : 3), name);
      const at = (hook: string, capture = false) => {
        const edit: Edit = { hook, op: "add", vector: someVector(hiddenSize, 9) };
        return steps(
          capture ? { capture: [hook, "logits"] } : { capture: ["logits"], edits: [edit] },
        );
      };
      // An edit of every row goes with the product that reads the rows next, if there is one.
      for (const hook of ["blocks.1.hook_resid_pre", "blocks.1.hook_resid_mid"]) {
        assertEquals([at(hook, true), at(hook)], [whole + left, whole + left], `${name}, ${hook}`);
      }
      assertEquals(at(`blocks.${layers - 1}.hook_resid_post`), whole + 1, name);
      // What a sublayer adds is then a buffer of its own, and the sum a dispatch of its own.
      for (const hook of ["blocks.1.hook_attn_out", "blocks.1.hook_mlp_out"]) {
        const apart = whole + left + 1;
        assertEquals([at(hook, true), at(hook)], [apart, apart + 1], `${name}, ${hook}`);
      }
      cache.destroy();
      model.destroy();
    }
  });
}

Deno.test("a step of many sequences is made of the kernels for many", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const model = await fixtureModel(gpu, "qwen3_tied");
  const cache = new KvCache(gpu, model.spec, 200);
  const step = (sequences: number, prefixLength: number) => {
    const places = Array.from({ length: sequences }, (_, s) => ({
      prefixStart: 100,
      prefixLength,
      ownStart: 3 * s,
      ownLength: 2,
    }));
    const batch = model.batch(places.map(() => [1]), places);
    return recorded(model, batch, { cache, capture: ["logits"] });
  };
  const { layers } = model.spec;
  step(8, 64); // puts the prefix into textures
  // Norm, projections, turning, attention, output; norm, gates, down. Embedding, final norm and head.
  assertEquals(step(8, 64).dispatches, 3 + 9 * layers);
  assertEquals(step(8, 63).dispatches, 3 + 8 * layers);
  const each = ["turn_texel", "attention_prefix_texel", "attention_each_texel"];
  const used = (sequences: number, prefixLength: number) => {
    const { kernels } = step(sequences, prefixLength);
    return [...each, "few_rows", "many_rows", "matmul"].filter((name) => kernels.includes(name));
  };
  assertEquals(used(8, 64), [...each, "many_rows"]);
  assertEquals(used(8, 63), [each[0], each[2], "many_rows"]);
  assertEquals(used(5, 64), ["many_rows"]);
  assertEquals(used(4, 64), ["few_rows"]);
  cache.destroy();
  model.destroy();
});

Deno.test("the products under an adapter are made as the base's are", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const base = await fixtureModel(gpu, "qwen3_tied");
  const adapted = await fixtureAdapter(base, "qwen3_tied", "lora");
  const capture = ["blocks.0.hook_resid_post"];
  const used = (model: Transformer, tokens: number) =>
    recorded(model, model.batch([Array.from({ length: tokens }, (_, i) => i)]), { capture });
  for (const [tokens, kernel] of [[1, "few_rows"], [100, "many_rows"]] as const) {
    assert(used(base, tokens).kernels.includes(kernel), `${tokens} tokens of the base`);
    assert(used(adapted, tokens).kernels.includes(kernel), `${tokens} tokens`);
  }
  // Its rank is not a whole eight: seven linear layers have two factors each, and norms, gates and sums are steps of their own.
  const apart = used(adapted, 1).dispatches - used(base, 1).dispatches;
  assertEquals(apart, 7 * 2 + 2 + 2 + 2);
  adapted.destroy();
  base.destroy();
});

Deno.test("requests that cannot be met", async () => {
  const gpu = await sharedGpu();
  const model = await openModel();
  const { layers, hiddenSize } = model.spec;
  const batch = model.batch(texts(model));
  const resid = gpu.tensor([batch.tokens, hiddenSize]);
  const vector = someVector(hiddenSize, 10);
  const hook = "blocks.1.hook_resid_post";
  const refused = (request: ForwardRequest, message: string) => {
    const recorder = gpu.record();
    assertThrows(() => model.record(recorder, batch, request), UsageError, message);
    recorder.close();
  };
  const capture = ["logits"];
  const wrong = (edit: Partial<Edit>, message: string) =>
    refused({ capture, edits: [{ hook, op: "add", vector, ...edit }] }, message);
  wrong(
    { vector: vector.slice(1) },
    `Cannot edit at "${hook}": the vector has ${hiddenSize - 1} values, the hook ${hiddenSize}`,
  );
  wrong(
    { hook: "logits" },
    `the vector has ${hiddenSize} values, the hook ${model.spec.vocabSize}`,
  );
  wrong({ scale: [1, 2] }, `Cannot edit at "${hook}": there are 2 scales for 3 sequences`);
  wrong({ op: "project", vector: new Float32Array(hiddenSize) }, "a vector of length 0");
  const unknown = [
    "resid_post",
    "blocks.0.hook_q",
    `blocks.${layers}.hook_resid_pre`,
    "blocks.-1.hook_resid_pre",
    "blocks.00.hook_resid_pre",
    "",
  ];
  for (const name of unknown) {
    refused({ capture: [name] }, `Unknown hook "${name}": this model has hook_embed, blocks.{0-`);
    wrong({ hook: name }, `Unknown hook "${name}"`);
  }
  const start = { layer: 2, resid };
  for (const name of ["hook_embed", "blocks.1.hook_mlp_out", "blocks.1.hook_resid_pre"]) {
    const message = `Cannot reach hook "${name}": the pass starts at layer 2`;
    refused({ start, capture: [name] }, message);
    refused({ start, capture, edits: [{ hook: name, op: "add", vector }] }, message);
  }
  refused(
    { start: { layer: 0, resid }, capture: ["hook_embed"] },
    'Cannot reach hook "hook_embed"',
  );
  resid.release();
  model.destroy();
});
