/** Requests that come and go while others run: each gets what it gets alone. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { InterruptedError, ModelError, OutOfMemoryError, UsageError } from "../engine/errors.ts";
import { generate, type GenerateRequest } from "../engine/generation/generate.ts";
import { generationRoom } from "../engine/generation/room.ts";
import { Scheduler, type SchedulerLimits } from "../engine/generation/scheduler.ts";
import { promptLogprobs } from "../engine/prompt_logprobs.ts";
import { tokenLosses } from "../engine/token_loss.ts";
import type { Transformer } from "../engine/transformer.ts";
import { fixtureAdapter, fixtureModel, sharedGpu, someTokens, someVector } from "./helpers.ts";

const base = await fixtureModel(await sharedGpu(), "llama3_tied");
const tuned = await fixtureAdapter(base, "llama3_tied", "lora");

function scheduler(limits: Partial<SchedulerLimits> = {}): Scheduler {
  const room = generationRoom(base, 4);
  return new Scheduler(base, { room, keys: 2000, sequences: 32, edits: 8, ...limits });
}

/** Requests that differ in all that a request has. */
function requests(): { model: Transformer; request: GenerateRequest }[] {
  const vector = (seed: number) => someVector(base.spec.hiddenSize, seed);
  const prompt = (length: number, seed: number) => someTokens(base, length, seed);
  const plain = { maxNewTokens: 12, sampling: { temperature: 0, seed: 0 } };
  return [
    { model: base, request: { ...plain, prompts: [prompt(9, 0)], logprobs: 3 } },
    {
      model: base,
      request: {
        ...plain,
        prompts: [prompt(5, 1), prompt(5, 1), prompt(5, 1)],
        sampling: { temperature: 1, seed: 2 ** 40 },
      },
    },
    { model: tuned, request: { ...plain, prompts: [prompt(9, 0)], logprobs: 0 } },
    {
      model: base,
      request: {
        ...plain,
        prompts: [prompt(30, 2), prompt(1, 3)],
        maxNewTokens: 20,
        sampling: { temperature: 1.3, topK: 50, topP: 0.9, minP: 0.01, seed: 3 },
        edits: [
          { hook: "blocks.1.hook_resid_post", op: "add", vector: vector(1), scale: [2, 1] },
          { hook: "blocks.0.hook_resid_mid", op: "project", vector: vector(2), positions: [0, 2] },
        ],
      },
    },
    {
      model: tuned,
      request: {
        ...plain,
        prompts: [prompt(20, 4)],
        sampling: { temperature: 0.8, repetitionPenalty: 1.3, seed: 5 },
        edits: [{ hook: "hook_embed", op: "replace", vector: vector(3), positions: [4] }],
        logprobs: 5,
      },
    },
    {
      model: base,
      request: {
        ...plain,
        prompts: [prompt(7, 6)],
        sampling: { temperature: 0, repetitionPenalty: 2, seed: 0 },
      },
    },
  ];
}

Deno.test("whenever requests come, each gets what it gets alone", async () => {
  const all = requests();
  const alone = [];
  for (const { model, request } of all) alone.push(await generate(model, request));
  assertEquals(new Set(alone.map(([{ ids }]) => ids.join())).size, all.length);

  const one = scheduler();
  const together = await Promise.all(all.map(({ model, request }) => one.submit(model, request)));
  assertEquals(together, alone, "at once");

  // Each comes when the one before has begun.
  const staggered: Promise<unknown>[] = [];
  const begin = (i: number) => {
    if (i === all.length) return;
    const { model, request } = all[i];
    const onTokens = () => staggered.length === i + 1 && begin(i + 1);
    staggered.push(one.submit(model, { ...request, onTokens }));
  };
  begin(0);
  for (let i = 0; i < all.length; i++) assertEquals(await staggered[i], alone[i], `request ${i}`);

  assertEquals([one.running, one.waiting, one.usedKeys], [0, 0, 0]);
  await one.close();
});

Deno.test("what does not fit waits, first come first served, and gets the same", async () => {
  const all = requests().slice(0, 5);
  const alone = [];
  for (const { model, request } of all) alone.push(await generate(model, request));
  const need = 30 + 19; // of the largest sequence
  for (const limits of [{ keys: need }, { keys: 2 * need, sequences: 2 }, { edits: 2 }]) {
    const little = scheduler(limits);
    const begun: number[] = [];
    let most = 0;
    const found = await Promise.all(all.map(({ model, request }, i) =>
      little.submit(model, {
        ...request,
        onTokens: () => {
          if (!begun.includes(i)) begun.push(i);
          most = Math.max(most, little.running);
          assert(little.usedKeys <= (limits.keys ?? Infinity));
        },
      })
    ));
    assertEquals(found, alone, JSON.stringify(limits));
    // Of two models that begin in one turn, either may be the first.
    const of = (model: Transformer) => begun.filter((i) => all[i].model === model);
    assertEquals([of(base), of(tuned)], [[0, 1, 3], [2, 4]]);
    assert(most <= (limits.sequences ?? 32));
    assertEquals(little.usedKeys, 0);
    await little.close();
  }
  const little = scheduler({ keys: need - 1, edits: 1 });
  const { model, request } = all[3];
  await assertRejects(() => little.submit(model, request), OutOfMemoryError, "Cannot generate 20");
  const small = { ...request, maxNewTokens: 1 };
  await assertRejects(() => little.submit(model, small), OutOfMemoryError, "Cannot make 2 edits");
  await little.close();
});

Deno.test("a request that is given up or fails leaves its place, and no other is disturbed", async () => {
  const [kept, second] = requests();
  const alone = await generate(kept.model, kept.request);
  const one = scheduler({ sequences: 3 });
  const abort = new AbortController();
  const long = { ...second.request, maxNewTokens: 200, prompts: [second.request.prompts[0]] };
  let told = 0;
  const given = one.submit(base, {
    ...long,
    signal: abort.signal,
    onTokens: (_, ids) => {
      told += ids.length;
      if (told >= 3) abort.abort(new UsageError("Gone"));
    },
  });
  const failing = one.submit(base, {
    ...long,
    stop: () => {
      throw new UsageError("No more");
    },
  });
  const vector = new Float32Array(base.spec.hiddenSize).fill(NaN);
  const broken = one.submit(base, {
    ...long,
    edits: [{ hook: "blocks.3.hook_resid_post", op: "add", vector, positions: [7] }],
  });
  const waiting = new AbortController();
  const never = one.submit(base, { ...long, signal: waiting.signal });
  const after = one.submit(kept.model, kept.request);
  await null;
  waiting.abort(new UsageError("Changed my mind"));
  await Promise.all([
    assertRejects(() => given, UsageError, "Gone"),
    assertRejects(() => failing, UsageError, "No more"),
    assertRejects(() => broken, ModelError, "none of the model's logits is a finite number"),
    assertRejects(() => never, UsageError, "Changed my mind"),
  ]);
  assertEquals(await after, alone);
  assert(told < 20, `${told} tokens after the end`);
  assertEquals([one.running, one.waiting, one.usedKeys], [0, 0, 0]);

  const open = one.submit(base, long);
  await one.close();
  await assertRejects(() => open, InterruptedError, "the work was ended");
  await assertRejects(() => one.submit(base, long), InterruptedError);
});

Deno.test("a long prompt is run piece by piece while others go on", async () => {
  const room = { ...generationRoom(base, 0), passTokens: 16 };
  const one = scheduler({ room });
  const events: string[] = [];
  const quick = one.submit(base, {
    prompts: [[1, 2, 3]],
    maxNewTokens: 60,
    sampling: { temperature: 0, seed: 0 },
    onTokens: (_, ids) => {
      events.push(`${ids.length}`);
      if (events.length === 1) begin();
    },
  });
  let slow: Promise<unknown> | undefined;
  const request = {
    prompts: [someTokens(base, 100, 1)],
    maxNewTokens: 3,
    sampling: { temperature: 1, seed: 0 },
  };
  const begin = () =>
    slow = one.submit(base, {
      ...request,
      onTokens: (_, ids) => events.push(`slow ${ids.length}`),
    });
  await quick;
  assertEquals(await slow, await generate(base, request));
  // A round of two steps that was under way; seven pieces of 16 tokens, beside each of them a round of four.
  const fours = Array.from({ length: 6 }, () => "4");
  assertEquals(events.slice(0, 10), ["1", "2", ...fours, "slow 1", "4"]);
  await one.close();
});

/** Tokens of each round of two requests, one after the other, by a clock that goes on by so many milliseconds when it is looked at. */
async function roundsOf(maxNewTokens: number, tick: number): Promise<number[][]> {
  const { now } = performance;
  let time = 0;
  performance.now = () => time += tick;
  const one = scheduler();
  const found: number[][] = [];
  try {
    for (const prompt of [[1, 2, 3], [4, 5]]) {
      const rounds: number[] = [];
      const sampling = { temperature: 0, seed: 0 };
      const onTokens = (_: number, { length }: readonly number[]) => rounds.push(length);
      await one.submit(base, { prompts: [prompt], maxNewTokens, sampling, onTokens });
      found.push(rounds);
    }
  } finally {
    performance.now = now;
    await one.close();
  }
  return found;
}

Deno.test("a slow device is asked for a step at a time", async () => {
  // The second round is under way before the first one's time is known.
  assertEquals(await roundsOf(12, 1000), [[1, 2, 4, 1, 1, 1, 1, 1], Array(12).fill(1)]);
});

Deno.test("rounds grow up to 64 steps on a quick device, and are short again after the next prompt", async () => {
  const rounds = [1, 2, 4, 8, 16, 32, 64, 64, 9];
  assertEquals(await roundsOf(200, 0), [rounds, rounds]);
});

Deno.test("log-probabilities are the model's own, whatever the sampling", async () => {
  const prompt = someTokens(base, 12, 8);
  const request: GenerateRequest = {
    prompts: [prompt],
    maxNewTokens: 6,
    sampling: { temperature: 1.7, topK: 30, repetitionPenalty: 1.4, seed: 1 },
    logprobs: 4,
  };
  const [{ ids, logprobs }] = await generate(base, request);
  const [losses] = await tokenLosses(base, [[...prompt, ...ids]]);
  const own = [...losses.slice(prompt.length - 1)].map((loss) => -loss);
  assertEquals(logprobs!.length, 6);
  logprobs!.forEach(({ logprob, top }, i) => {
    assert(Math.abs(logprob - own[i]) < 1e-5, `${logprob}, ${own[i]}`);
    assertEquals(top.length, 4);
    assert(top.every(({ value }, j) => j === 0 || value <= top[j - 1].value));
    assert(logprob <= top[0].value);
  });
  // The same, in one pass over the text.
  const all = await promptLogprobs(base, [...prompt, ...ids], { top: 4 });
  assertEquals(all.length, prompt.length + 5);
  assertEquals(all.slice(prompt.length - 1), logprobs);
  // What ends early keeps as many as tokens.
  const [cut] = await generate(base, {
    ...request,
    stop: (_, all) => all.length === 5 ? 3 : false,
  });
  assertEquals(cut.logprobs, logprobs!.slice(0, 3));
});

Deno.test("other work on the device comes between two passes", async () => {
  const one = scheduler();
  const order: string[] = [];
  const { request } = requests()[0];
  const text = one.submit(base, { ...request, onTokens: () => order.push("tokens") });
  const work = one.run(() => {
    order.push("work");
    return Promise.resolve(7);
  });
  assertEquals(await work, 7);
  await text;
  assertEquals(order[0], "work");
  await assertRejects(() => one.run(() => Promise.reject(new UsageError("No"))), UsageError, "No");
  await one.close();
  await assertRejects(() => one.run(() => Promise.resolve(1)), InterruptedError);
});
