/** How fast does a model read 512 tokens, and how near is that to the best matrix product of the same run? */

import { checkModel } from "./check_model.ts";
import { type BenchContext, someTokens } from "./context.ts";
import { medians } from "../engine/gpu/measure.ts";
import { row } from "./row.ts";
import type { Recorder } from "../engine/gpu/recorder.ts";
import { passFlops, type ShapeName, SHAPES } from "./shapes.ts";

const TOKENS = 512;
const LAST_LOGITS = [{ hook: "logits", positions: [-1] }];

/**
 * Rows of a model: tokens/s, and the operations that makes as a share of what the best matrix product does, which is timed
 * again in the same turns.
 */
export async function benchPrefill(context: BenchContext, name: ShapeName): Promise<void> {
  if (!context.wants(`prefill/${name}`) && !context.wants(`prefill:matmul/${name}`)) return;
  const { clock, effort, options: { quick } } = context;
  const { timed } = clock;
  const count = quick ? 64 : TOKENS;
  const model = await context.model(name);
  const tokens = someTokens(count, SHAPES[name].vocab_size, 1);
  const batch = model.batch([tokens]);
  const note = await checkModel(context, name, model, tokens);
  const best = context.bestMatmul;
  const prepared = await best?.prepare(context.gpu);
  const subjects = [
    (recorder: Recorder) => model.record(recorder, batch, { capture: LAST_LOGITS }).release(),
  ];
  if (prepared) subjects.push((recorder) => prepared.record(recorder));
  const times = await medians(subjects.map((subject) => clock.subject(subject)), effort);
  prepared?.release();
  const rate = passFlops(SHAPES[name], count, 1) / times[0] / 1e6;
  const most = best ? best.amount / times[1] / 1e6 : undefined;
  const speed = count / times[0] * 1000;
  const ceiling = most === undefined ? null : speed * most / rate;
  context.add(row(`prefill/${name}`, speed, "tokens/s", { ceiling, timed, note }));
  if (most === undefined) return;
  context.add(row(`prefill:matmul/${name}`, rate / most, "×", {
    aim: "≥ 0.6",
    note: `${rate.toFixed(1)} GFLOP/s to ${most.toFixed(1)} of ${best!.name}`,
  }));
}
