/** The audit's checks of whole models: all hold for a right model, and each sees what it is there for. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { AuditDevice } from "../engine/audit/audit_kernels.ts";
import { type AuditedModel, checkModel, checkWindows } from "../engine/audit/model_checks.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { FIXTURES } from "./helpers.ts";
import { closeTestGpus, PROFILES, testGpu } from "./test_gpu.ts";

Deno.test.afterAll(closeTestGpus);

const FOLDER = `${FIXTURES}/llama3_untied`;
const PLAN = { repeats: 4, randomBatches: 1 };

/** More tokens than a chunk of keys, and fewer. */
const TEXTS = [66, 2].map((length) => Array.from({ length }, (_, i) => (7 * i + 1) % 90));

const devices = async (): Promise<AuditDevice[]> =>
  await Promise.all(PROFILES.map(async (name) => ({ name, gpu: await testGpu(name) })));

async function open(gpu: Gpu, stream = false, adapted = false) {
  const base = await loadModel(gpu, await resolveSource(FOLDER), { stream });
  const source = adapted && await resolveSource(`${FOLDER}/lora`);
  const tuned = source ? await loadFinetuned(gpu, base, source) : base;
  const close = () => new Set([tuned, base]).forEach(({ transformer }) => transformer.destroy());
  return { model: tuned.transformer, close };
}

async function check(open: AuditedModel["open"], on?: AuditDevice[]) {
  return await checkModel({ name: "m", open, texts: TEXTS }, on ?? await devices(), PLAN);
}

Deno.test("all checks of a right model hold, and say how often they tried", async () => {
  const found = await check(open);
  assertEquals(found.filter(({ holds }) => !holds), []);
  assertEquals(found.map(({ check, tried }) => [check, tried > 0]), [
    ["runs of the same", true],
    ["alone, in batches, at other places", true],
    ["prefill against cached decoding", true],
    ["weights streamed layer by layer against resident", true],
    [`the same with variants and bindings of "${PROFILES[1]}"`, true],
  ]);
  const [device] = await devices();
  const windows = await checkWindows({ name: "m", open, texts: TEXTS }, device, TEXTS[1]);
  assert(windows.holds && windows.tried > 0, windows.detail);
});

Deno.test("other weights on the other device, or where they are streamed, are found with the hook", async () => {
  const first = await testGpu(PROFILES[0]);
  const found = await check((gpu, stream) => open(gpu, stream, stream || gpu !== first));
  assertEquals(found.filter(({ holds }) => !holds).map(({ check, detail }) => [check, detail]), [
    [
      "weights streamed layer by layer against resident",
      "differs at blocks.0.hook_resid_post",
    ],
    [
      `the same with variants and bindings of "${PROFILES[1]}"`,
      "differs at blocks.0.hook_resid_post",
    ],
  ]);
});

Deno.test("runs that differ, or depend on the batch or the cache, and weights that stay are found", async () => {
  let pass = 0;
  const found = await check(async (gpu) => {
    const opened = await open(gpu);
    const batch = opened.model.batch.bind(opened.model);
    // Every third pass sees another first token.
    opened.model.batch = (sequences, ...rest) =>
      batch(
        pass++ % 3 === 2 ? sequences.map((ids) => Array.from(ids).with(0, 89)) : sequences,
        ...rest,
      );
    return opened;
  }, (await devices()).slice(0, 1));
  assertEquals(found.map(({ holds }) => holds), [false, false, false, false]);
  const [runs, batches, cached, streamed] = found.map(({ detail }) => detail);
  assertEquals(runs, "2 hashes");
  assertStringIncludes(batches, "differs at hook_embed");
  assertStringIncludes(cached, "differ at hook_embed");
  assertMatch(streamed, /not streamed|differs at hook_embed/);
});
