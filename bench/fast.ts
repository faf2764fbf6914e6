/** How much faster are matrix products, and a model that reads 512 tokens, in fast mode, where the adapter has what that needs? */

import { relativeL2 } from "../engine/audit/model_run.ts";
import { Gpu, type Precision } from "../engine/gpu/gpu.ts";
import { Clock, medians } from "../engine/gpu/measure.ts";
import type { Recorder } from "../engine/gpu/recorder.ts";
import type { Batch, Transformer } from "../engine/transformer.ts";
import { type BenchContext, someTokens } from "./context.ts";
import {
  fastMatmulCase,
  LARGE_MATMUL_SHAPE,
  matmulCase,
  type MatmulShape,
} from "./kernels/matmul.ts";
import { row } from "./row.ts";
import { type ShapeName, SHAPES } from "./shapes.ts";

const TOKENS = 512;
const LAST_LOGITS = [{ hook: "logits", positions: [-1] }];

/** Relative L2 error of logits in fast mode: f16 has 11 bits, and a random model brings nothing that would drown in the rest. */
const BOUND = 0.02;

/** A device for both precisions, where a row is wanted: fast mode is for GPUs, so that on CPU cores it must be asked for by its own name. */
async function deviceFor(context: BenchContext, name: string): Promise<Gpu | undefined> {
  const { gpu: { backend, profile }, options: { only } } = context;
  const named = only.some((pattern) => pattern.startsWith(name.split("/")[0]));
  if (!context.wants(name) || profile === "software" && !named) return undefined;
  const gpu = await Gpu.open({ backend, profile, both: true });
  if (gpu.half) return gpu;
  gpu.close();
  return undefined;
}

/** What products go through. */
function through({ matrices }: Gpu): string {
  return matrices ? "through the matrix unit" : "without a matrix unit";
}

/** What is multiplied on CPU cores … */
const SMALL_SHAPES: readonly MatmulShape[] = [[512, 512, 512]];
/** … and on a GPU. */
const SHAPES_FOR_GPUS: readonly MatmulShape[] = [[640, 2048, 2048], LARGE_MATMUL_SHAPE];

/** The rows `matmul:fast/SHAPE`: the time of a product in f32 to that in fast mode, in the same turns. */
export async function benchFastProducts(context: BenchContext): Promise<void> {
  const { effort, gpu: { profile } } = context;
  for (const shape of profile === "software" ? SMALL_SHAPES : SHAPES_FOR_GPUS) {
    const name = `matmul:fast/${shape.join("x")}`;
    using gpu = await deviceFor(context, name);
    if (!gpu) continue;
    const product = fastMatmulCase(shape);
    const full = await matmulCase(shape).prepare(gpu);
    const fast = await product.prepare(gpu);
    const clock = await Clock.of(gpu, full.record);
    const subjects = [full, fast].map(({ record }) => clock.subject(record));
    const [slow, quicker] = await medians(subjects, effort);
    for (const one of [full, fast]) one.release();
    const speed = `${(product.amount / quicker / 1e6).toPrecision(3)} GFLOP/s`;
    const note = `${speed} ${through(gpu)}; ${fast.checked}`;
    context.add(row(name, slow / quicker, "×", { timed: clock.timed, note }));
  }
}

/**
 * The row `prefill:fast/NAME` of a model: the time of f32 to that of fast mode, in the same turns on a device of their own.
 *
 * @throws {Error} when fast mode's logits are wrong
 */
export async function benchFast(context: BenchContext, name: ShapeName): Promise<void> {
  const { effort, options: { quick } } = context;
  using gpu = await deviceFor(context, `prefill:fast/${name}`);
  if (!gpu) return;
  const model = await context.load(name, gpu);
  const count = quick ? 64 : TOKENS;
  const batch = model.batch([someTokens(count, SHAPES[name].vocab_size, 1)]);
  const [full, fast] = [
    await lastLogits(model, batch, "f32"),
    await lastLogits(model, batch, "fast"),
  ];
  const note = compareLogits(name, full, fast);
  const subject = (precision: Precision) => (recorder: Recorder) =>
    gpu.inPrecision(precision, () => model.record(recorder, batch, { capture: LAST_LOGITS }))
      .release();
  const clock = await Clock.of(gpu, subject("f32"));
  const subjects = (["f32", "fast"] as const).map((one) => clock.subject(subject(one)));
  const [slow, quicker] = await medians(subjects, effort);
  model.destroy();
  const speed = `${(1000 * count / quicker).toPrecision(3)} tokens/s ${through(gpu)}`;
  context.add(row(`prefill:fast/${name}`, slow / quicker, "×", {
    timed: clock.timed,
    note: `${speed}; ${note}`,
  }));
}

/**
 * What is to be said of fast mode's logits beside those of f32.
 *
 * @throws {Error} when they are further off than f16 explains
 */
export function compareLogits(name: string, full: Float32Array, fast: Float32Array): string {
  const error = relativeL2(fast, full);
  if (!(error <= BOUND)) {
    throw new Error(`Cannot time ${name} in fast mode: its logits are off by ${error}`);
  }
  const best = (logits: Float32Array) => logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
  const same = best(full) === best(fast) ? "the same" : "another";
  return `off by ${error.toExponential(0)}, ${same} token is the likeliest`;
}

async function lastLogits(model: Transformer, batch: Batch, precision: Precision) {
  const pass = model.gpu.inPrecision(
    precision,
    () => model.forward(batch, { capture: LAST_LOGITS }),
  );
  const captured = await pass;
  const logits = await captured.get("logits").read();
  captured.release();
  return logits;
}
