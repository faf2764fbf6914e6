/** How long until a model is there, and until its first token? */

import { generate } from "../engine/generation/generate.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { Transformer } from "../engine/transformer.ts";
import { type BenchContext, someTokens } from "./context.ts";
import { expect } from "./kernels/case.ts";
import { median } from "../engine/gpu/measure.ts";
import { row } from "./row.ts";
import type { ShapeName } from "./shapes.ts";

const PROMPT_TOKENS = 16;

async function firstToken(model: Transformer): Promise<number> {
  const prompts = [someTokens(PROMPT_TOKENS, model.spec.vocabSize, 4)];
  const sampling = { temperature: 0, seed: 0 };
  const [{ ids }] = await generate(model, { prompts, maxNewTokens: 1, sampling });
  return ids[0];
}

/**
 * Two rows of a model: loading in GB/s (the file is in the system's cache), and milliseconds from opening the device to the
 * first token, kernels compiled on the way.
 */
export async function benchStart(context: BenchContext, name: ShapeName): Promise<void> {
  if (!context.wants(`load/${name}`) && !context.wants(`start/${name}`)) return;
  const { options: { quick }, gpu } = context;
  const expected = await firstToken(await context.model(name));
  context.drop();
  const [loads, starts]: number[][] = [[], []];
  let bytes = 0;
  for (let turn = 0; turn < (quick ? 1 : 3); turn++) {
    const start = performance.now();
    using fresh = await Gpu.open({
      backend: gpu.backend,
      profile: gpu.profile,
      tuning: gpu.tuning,
    });
    const opened = performance.now();
    const model = await context.load(name, fresh);
    await fresh.finish();
    loads.push(performance.now() - opened);
    bytes = fresh.buffers.allocatedBytes;
    const token = await firstToken(model);
    starts.push(performance.now() - start);
    expect(token === expected, `start/${name}`);
  }
  const note = "the same first token";
  const timed = "wall";
  context.add(row(`load/${name}`, bytes / median(loads) / 1e6, "GB/s", { timed, note }));
  context.add(row(`start/${name}`, median(starts), "ms", { timed, note }));
}
