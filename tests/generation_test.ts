/** Generation on whole models: Hugging Face's tokens, and the same tokens whatever runs beside a sequence. */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { ModelError, OutOfMemoryError, UsageError } from "../engine/errors.ts";
import { generate, type GenerateRequest, type Sampling } from "../engine/generation/generate.ts";
import { generationRoom } from "../engine/generation/room.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { Edit } from "../engine/hooks.ts";
import { warmUpGeneration } from "../engine/warm_up.ts";
import { sampleTokens, seenWords, uploadRows } from "../engine/ops/sampling.ts";
import type { Transformer } from "../engine/transformer.ts";
import {
  FIXTURE_MODELS,
  fixtureAdapter,
  fixtureModel,
  Reference,
  sharedGpu,
  someTokens,
  someVector,
} from "./helpers.ts";
import { embeddedBase } from "./invariance_suite.ts";
import { BACKEND } from "./test_gpu.ts";

const GREEDY: Sampling = { temperature: 0, seed: 0 };

/** Everything at once: each step reads what the steps before chose. */
const SAMPLED: Sampling = {
  temperature: 1.3,
  topK: 200,
  topP: 0.97,
  minP: 0.001,
  repetitionPenalty: 1.15,
  seed: 2 ** 40 + 7,
};

const ids = async (model: Transformer, request: GenerateRequest) =>
  (await generate(model, request)).map((generated) => generated.ids);

/** Tokens by a full pass each, without a cache, for a sequence alone. */
async function byFullPasses(
  model: Transformer,
  prompt: readonly number[],
  tokens: number,
  { sampling = GREEDY, stream = 0, edits = [] as Edit[] },
): Promise<number[]> {
  const { gpu, spec } = model;
  const words = seenWords(sampling, spec.vocabSize);
  const text = [...prompt];
  for (let step = 0; step < tokens; step++) {
    const seen = new Uint32Array(Math.max(1, words));
    if (words > 0) { for (const id of text) seen[id >> 5] |= 1 << (id & 31); }
    const chosen = gpu.tensor([1]);
    const history = gpu.tensor([1]);
    const recorder = gpu.record();
    const capture = [{ hook: "logits", positions: [-1] }];
    const captured = model.record(recorder, model.batch([text]), { capture, edits });
    const rows = uploadRows(recorder, [{ slot: 0, stream, step, sampling }]);
    sampleTokens(recorder, captured.get("logits"), rows, {
      seen: recorder.upload(seen),
      words,
      ids: chosen.buffer,
      history: history.buffer,
    }, 0);
    captured.release();
    await recorder.submit();
    text.push(new Uint32Array((await gpu.read([chosen]))[0])[0]);
    chosen.release();
    history.release();
  }
  return text.slice(prompt.length);
}

for (const name of FIXTURE_MODELS) {
  Deno.test(`${name}: greedy tokens, plain and steered in one batch, are Hugging Face's`, async () => {
    const model = await fixtureModel(await sharedGpu(), name);
    const reference = await Reference.open(name);
    const [prompt] = await reference.sequences("prompt");
    const { layer, alpha } = reference.notes.steer;
    const edits: Edit[] = [{
      hook: `blocks.${layer}.hook_resid_post`,
      op: "add",
      vector: await reference.values("steer.vector"),
      scale: [0, alpha, 0, alpha],
    }];
    const prompts = [prompt, prompt, prompt.slice(1), prompt];
    const found = await ids(model, { prompts, maxNewTokens: 16, sampling: GREEDY, edits });
    const [plain] = await reference.sequences("greedy");
    const [steered] = await reference.sequences("greedy_steered");
    assertEquals([found[0], found[1], found[3]], [plain, steered, steered]);
    assertNotEquals(plain, steered);
    model.destroy();
  });
}

Deno.test("greedy tokens with an adapter are Hugging Face's", async () => {
  const base = await fixtureModel(await sharedGpu(), "llama3_tied");
  const tuned = await fixtureAdapter(base, "llama3_tied", "lora");
  const reference = await Reference.open("llama3_tied");
  const prompts = await reference.sequences("lora.prompt");
  const found = await ids(tuned, { prompts, maxNewTokens: 16, sampling: GREEDY });
  assertEquals(found, await reference.sequences("lora.greedy"));
  tuned.destroy();
  base.destroy();
});

const MODELS: Record<string, (gpu: Gpu) => Promise<Transformer>> = {
  "llama3_tied": (gpu) => fixtureModel(gpu, "llama3_tied"),
  "gemma2": (gpu) => fixtureModel(gpu, "gemma2"),
  "embedded base": embeddedBase,
};

/** Prompts of several lengths, some of them equal, with edits of several strengths and at some positions. */
function mixedRequest(model: Transformer): GenerateRequest & { edits: Edit[]; streams: number[] } {
  const [a, b, c] = [9, 70, 1].map((length, seed) => someTokens(model, length, seed));
  const vector = (seed: number) => someVector(model.spec.hiddenSize, seed);
  return {
    prompts: [a, b, a, c, a, b],
    streams: [3, 1, 4, 1, 3, 9],
    maxNewTokens: 14,
    sampling: SAMPLED,
    edits: [
      { hook: "blocks.1.hook_resid_post", op: "add", vector: vector(1), scale: [0, 1, 0, 1, 2, 1] },
      // Within the prompt of some, in the continuation of others.
      { hook: "blocks.0.hook_resid_mid", op: "project", vector: vector(2), positions: [2, 12, 75] },
    ],
  };
}

/** The part of a request that belongs to one sequence. */
function alone(request: ReturnType<typeof mixedRequest>, s: number): GenerateRequest {
  const edits = request.edits.map((edit) =>
    typeof edit.scale === "object" ? { ...edit, scale: edit.scale[s]! } : edit
  );
  return { ...request, prompts: [request.prompts[s]], streams: [request.streams[s]], edits };
}

for (const [name, open] of Object.entries(MODELS)) {
  Deno.test(`${name}: a sequence's tokens are its own: alone, together, by full passes`, async () => {
    const model = await open(await sharedGpu());
    const request = mixedRequest(model);
    const together = await generate(model, request);
    assertEquals(together.map(({ finish }) => finish), request.prompts.map(() => "length"));
    const all = together.map((generated) => generated.ids);
    // Sequence 2 differs from 0 by its stream, 4 by its strength, 5 and 1 by their streams.
    assertEquals(new Set(all.map((one) => one.join())).size, all.length);
    for (const s of [1, 4]) {
      assertEquals(await ids(model, alone(request, s)), [all[s]], `sequence ${s} alone`);
    }
    for (const s of [1, 4]) {
      const { prompts, edits, streams } = alone(request, s);
      const options = { sampling: SAMPLED, stream: streams![0], edits: [...edits!] };
      const passes = await byFullPasses(model, prompts[0] as number[], 7, options);
      assertEquals(passes, all[s].slice(0, 7), `sequence ${s} by full passes`);
    }
    const short = await ids(model, { ...request, maxNewTokens: 5 });
    assertEquals(short, all.map((one) => one.slice(0, 5)), "fewer tokens");
    model.destroy();
  });
}

Deno.test("long prompts in several passes and sequences in waves get the same tokens", async () => {
  // 64 tokens a pass, keys of 213 tokens; with the budget fewer.
  using small = await Gpu.open({ limits: { maxStorageBufferBindingSize: 40 << 10 } });
  const [little, model] = [
    await fixtureModel(small, "llama3_tied"),
    await fixtureModel(await sharedGpu(), "llama3_tied"),
  ];
  const request = mixedRequest(model);
  const prompts = [...request.prompts, someTokens(model, 150, 9), someTokens(model, 150, 9)];
  const streams = [...request.streams, 0, 1];
  const edits = [request.edits[1]];
  const whole = { ...request, prompts, streams, edits };
  const { keys, sequences, passTokens } = generationRoom(little, 1);
  assert(keys < 2 * 150 && keys > 170 && sequences > 8, `keys ${keys}, sequences ${sequences}`);
  assert(passTokens < 70 && passTokens > 32, `${passTokens} tokens a pass`);
  const expected = await ids(model, whole);
  assertEquals(await ids(little, whole), expected);
  // A prompt that is shared and cut by a wave's end is run twice.
  const samples = {
    ...whole,
    prompts: prompts.map(() => prompts[1]),
    streams: [...prompts.keys()],
  };
  assertEquals(await ids(little, samples), await ids(model, samples));
  await assertRejects(
    () => generate(little, { ...whole, maxNewTokens: 90 }),
    OutOfMemoryError,
    "Cannot generate 90 tokens after a prompt of 150",
  );
  model.destroy();
});

Deno.test("a small memory budget makes smaller waves of the same tokens", async () => {
  const budget = 2 << 20;
  using gpu = await Gpu.open({ memoryBudget: budget });
  const model = await fixtureModel(gpu, "llama3_tied");
  const ample = await fixtureModel(await sharedGpu(), "llama3_tied");
  const mixed = mixedRequest(model);
  const prompts = Array.from({ length: 80 }, (_, s) => mixed.prompts[s % 6]);
  const request = { prompts, sampling: { temperature: 1, seed: 5 }, maxNewTokens: 8 };
  const { sequences, passTokens } = generationRoom(model, 0);
  assert(sequences < 40 && passTokens < 80, `${sequences} sequences, ${passTokens} tokens`);
  // Between two rounds others use the pools too, and leave buffers of other sizes in them.
  const onTokens = () => {
    const most = Math.floor(0.85 * gpu.buffers.remainingBytes);
    if (most > 2 ** 16) gpu.buffers.release(gpu.buffers.acquire(most));
  };
  assertEquals(await ids(model, { ...request, onTokens }), await ids(ample, request));
  assert(gpu.buffers.peakBytes <= budget);
  ample.destroy();
});

Deno.test("sequences end at stop tokens, where the caller says, and at the context's end", async () => {
  const model = await fixtureModel(await sharedGpu(), "llama3_tied");
  const { prompts, streams } = mixedRequest(model);
  const request = { prompts, streams, maxNewTokens: 24, sampling: SAMPLED };
  const full = await ids(model, request);

  const stopId = full[0][9];
  const told: number[][] = prompts.map(() => []);
  const stopped = await generate(model, {
    ...request,
    stopIds: new Set([stopId]),
    onTokens: (s, newIds) => told[s].push(...newIds),
  });
  const upTo = (one: number[], id: number) => one.slice(0, (one.indexOf(id) + 1) || undefined);
  assertEquals(stopped.map((g) => g.ids), full.map((one) => upTo(one, stopId)));
  assertEquals(
    stopped.map(({ finish }) => finish),
    full.map((one) => one.includes(stopId) ? "stop" : "length"),
  );
  assert(stopped[0].finish === "stop" && stopped.some(({ finish }) => finish === "length"));
  assertEquals(told, stopped.map((g) => g.ids));

  const lengths: number[][] = prompts.map(() => []);
  const checked = await generate(model, {
    ...request,
    stop: (s, all) => {
      lengths[s].push(all.length);
      if (s === 0) return all.length === 11; // within a round
      return s === 1 && all.length === 14 ? 12 : false;
    },
  });
  const kept = [11, 12, 24, 24, 24, 24];
  assertEquals(checked.map((g) => g.ids), full.map((one, s) => one.slice(0, kept[s])));
  assertEquals(checked.map(({ finish }) => finish).slice(0, 3), ["stop", "stop", "length"]);
  assertEquals(lengths.map((all) => all.length), [11, 14, 24, 24, 24, 24], "once a token");

  const near = [252, 256, 255, 3].map((length) => someTokens(model, length, length));
  const found = await generate(model, { prompts: near, maxNewTokens: 9, sampling: GREEDY });
  assertEquals(found.map((g) => [g.ids.length, g.finish]), [4, 0, 1, 9].map((n) => [n, "length"]));
  assertEquals(found[0].ids, await byFullPasses(model, near[0], 4, {}));
  assertEquals(await generate(model, { prompts: [], maxNewTokens: 9, sampling: GREEDY }), []);
  model.destroy();
});

Deno.test("text begins early, and the next round is under way before one's tokens are back", async () => {
  using gpu = await Gpu.open();
  const model = await fixtureModel(gpu, "llama3_tied");
  let submitted = 0;
  const submit = gpu.submit.bind(gpu);
  gpu.submit = (commands) => (submitted++, submit(commands));
  const rounds: { tokens: number; submitted: number }[] = [];
  await generate(model, {
    prompts: [[1, 2, 3]],
    maxNewTokens: 36,
    sampling: GREEDY,
    onTokens: (_, { length }) => rounds.push({ tokens: length, submitted }),
  });
  // How long rounds get after that depends on how quick the device is.
  rounds.forEach(({ tokens, submitted }, i) => {
    assert(tokens <= 2 ** i, `${tokens} tokens in round ${i}`);
    assertEquals(submitted, Math.min(i + 2, rounds.length));
  });
  assertEquals(rounds.reduce((sum, { tokens }) => sum + tokens, 0), 36);
  model.destroy();
});

Deno.test("what is given up leaves nothing behind", async () => {
  using gpu = await Gpu.open();
  const model = await fixtureModel(gpu, "llama3_tied");
  const request = mixedRequest(model);
  await generate(model, request);
  const settled = () => (gpu.buffers.trim(), gpu.buffers.allocatedBytes);
  const before = settled();
  assertEquals(gpu.buffers.openRecorders, 0);

  const abort = new AbortController();
  const told: number[][] = request.prompts.map(() => []);
  const onTokens = (s: number, newIds: readonly number[]) => {
    told[s].push(...newIds);
    if (told[0].length === 3) abort.abort(new UsageError("Enough"));
  };
  const aborted = generate(model, { ...request, onTokens, signal: abort.signal });
  await assertRejects(() => aborted, UsageError, "Enough");
  assertEquals(told.map((all) => all.length), [3, 3, 3, 3, 3, 3]);
  assertEquals(settled(), before);

  const vector = new Float32Array(model.spec.hiddenSize).fill(NaN);
  const broken: Edit[] = [{ hook: "blocks.3.hook_resid_post", op: "add", vector, positions: [12] }];
  await assertRejects(
    () =>
      generate(model, {
        ...request,
        edits: broken,
        prompts: request.prompts.slice(0, 1),
        streams: [0],
      }),
    ModelError,
    "Cannot go on with sequence 0 after 4 new tokens: none of the model's logits is a finite number",
  );
  assertEquals(settled(), before);

  const tooShort: Edit[] = [{ hook: "hook_embed", op: "add", vector: vector.subarray(1) }];
  await assertRejects(() => generate(model, { ...request, edits: tooShort }), UsageError);
  const stop = () => 99;
  await assertRejects(() => generate(model, { ...request, stop }), UsageError, "Cannot keep 99");
  assertEquals(settled(), before);
  assertEquals(gpu.buffers.openRecorders, 0);
});

Deno.test("what is warmed up is all that generation compiles, and no more", async () => {
  for (const [promptTokens, sampling] of [[9, GREEDY], [70, SAMPLED]] as const) {
    const compiled = async (work: (model: Transformer) => unknown) => {
      using gpu = await Gpu.open({ backend: BACKEND });
      const model = await fixtureModel(gpu, FIXTURE_MODELS[0]);
      await work(model);
      const kernels = gpu.kernels.list();
      await Promise.all(kernels.map(({ pipeline }) => pipeline));
      return kernels.map(({ name, constants }) => name + JSON.stringify(constants)).toSorted();
    };
    const warm = await compiled((model) => warmUpGeneration(model, { promptTokens, sampling }));
    const needed = await compiled((model) =>
      ids(model, { prompts: [someTokens(model, promptTokens, 3)], maxNewTokens: 3, sampling })
    );
    assertEquals(warm, needed);
  }
});
