/** How long does the host take to record a step of decoding? While the device takes longer, it does not count. */

import { median } from "../engine/gpu/measure.ts";
import { KvCache } from "../engine/kv_cache.ts";
import type { Transformer } from "../engine/transformer.ts";
import type { BenchContext } from "./context.ts";
import type { DecodeRun } from "./decode.ts";
import { row } from "./row.ts";

/** Steps of a recording. */
const STEPS = 8;

/** Adds the row `name/host`, where it is wanted. */
export async function benchHost(
  context: BenchContext,
  name: string,
  model: Transformer,
  run: Pick<DecodeRun, "sequences" | "promptTokens">,
): Promise<void> {
  if (!context.wants(`${name}/host`)) return;
  const turns = context.options.quick ? 3 : 25;
  const { ms, dispatches } = await hostTime(model, run, turns);
  const note = `of the host to record ${dispatches} dispatches, while the device stands still`;
  context.add(row(`${name}/host`, ms, "ms/step", { timed: "wall", note }));
}

/** Milliseconds from the first op of a step to the submit, the median of turns after a first one in which kernels are compiled. */
export async function hostTime(
  model: Transformer,
  { sequences, promptTokens }: Pick<DecodeRun, "sequences" | "promptTokens">,
  turns: number,
): Promise<{ ms: number; dispatches: number }> {
  const { gpu } = model;
  const cache = new KvCache(gpu, model.spec, promptTokens + STEPS * sequences);
  const ids = Array.from({ length: sequences }, () => [0]);
  const batchOf = (step: number) =>
    model.batch(
      ids,
      ids.map((_, s) => ({
        prefixStart: 0,
        prefixLength: promptTokens,
        ownStart: promptTokens + STEPS * s,
        ownLength: step,
      })),
    );
  const times: number[] = [];
  let dispatches = 0;
  try {
    for (let turn = 0; turn <= turns; turn++) {
      await gpu.finish();
      const start = performance.now();
      const recorder = gpu.record();
      for (let step = 0; step < STEPS; step++) {
        model.record(recorder, batchOf(step), { cache, capture: ["logits"] }).release();
      }
      dispatches = recorder.dispatches / STEPS;
      await recorder.submit();
      if (turn > 0) times.push((performance.now() - start) / STEPS);
    }
    await gpu.finish();
  } finally {
    cache.destroy();
  }
  return { ms: median(times), dispatches: Math.round(dispatches) };
}
