/** How many documents a second does the comparison of two models take, in how much memory, and is the device at work all the time? */

import type { Gpu } from "../engine/gpu/gpu.ts";
import { meanDifference } from "../lens/diff.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
import { loadedPair, type ModelPair } from "../models/model_shelf.ts";
import { resolveSource } from "../models/source.ts";
import { benchBusy } from "./busy.ts";
import { type BenchContext, someTokens } from "./context.ts";
import { expect } from "./kernels/case.ts";
import { medians, wallSubject } from "../engine/gpu/measure.ts";
import { row } from "./row.ts";

/** One comparison of the embedded base with cake_bake on it. */
interface DiffSize {
  documents: number;
  tokens: number;
  layers: number[];
}

const MIDDLE = [2];
const ALL = [0, 1, 2, 3, 4, 5];

/** What varies: documents, their tokens, the layers. */
const SIZES: readonly DiffSize[] = [
  { documents: 64, tokens: 128, layers: MIDDLE },
  { documents: 128, tokens: 128, layers: MIDDLE },
  { documents: 256, tokens: 128, layers: MIDDLE },
  { documents: 256, tokens: 32, layers: MIDDLE },
  { documents: 64, tokens: 128, layers: ALL },
];

const nameOf = ({ documents, tokens, layers }: DiffSize) =>
  `diff/${documents}x${tokens}/${layers.length === 1 ? `layer${layers[0]}` : "all"}`;

/** A row of documents/s, one of memory and one of the device's share of the time for each size. */
export async function benchDiff(context: BenchContext): Promise<void> {
  const { gpu, options: { quick } } = context;
  const small = SIZES.map((size) => ({ ...size, documents: size.documents / 8 }));
  const rowsOf = (name: string) => [name, `${name}/memory`, `${name}/busy`];
  const sizes = (quick ? small : SIZES).filter((size) =>
    context.wanted(rowsOf(nameOf(size))).length > 0
  );
  if (sizes.length === 0) return;
  const base = await loadModel(gpu, await resolveSource("embedded:base"));
  const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
  const models = loadedPair(base.transformer, tuned.transformer);
  await checkDiff(gpu, models);
  const peaks: number[] = [];
  const compare = (size: DiffSize) =>
    meanDifference(gpu, { models, documents: documentsOf(size), layers: size.layers });
  const subjects = sizes.map((size, i) =>
    wallSubject(async () => {
      gpu.buffers.trim();
      gpu.buffers.peakBytes = gpu.buffers.allocatedBytes;
      await compare(size);
      peaks[i] = gpu.buffers.peakBytes;
    })
  );
  const times = await medians(subjects, { turns: quick ? 1 : 3, least: 1 });
  for (const [i, size] of sizes.entries()) {
    const name = nameOf(size);
    const note = "δ by plain means of captures";
    const speed = size.documents / times[i] * 1000;
    context.add(row(name, speed, "documents/s", { timed: "wall", note }));
    context.add(row(`${name}/memory`, peaks[i] / 2 ** 20, "MiB", { note: "on the device" }));
    await benchBusy(context, name, () => compare(size), "≥ 90");
  }
  tuned.transformer.destroy();
  base.transformer.destroy();
}

function documentsOf({ documents, tokens }: DiffSize): number[][] {
  return Array.from({ length: documents }, (_, d) => someTokens(tokens, 2048, d));
}

/** δ of a few documents against means taken in float64 on the host. */
async function checkDiff(gpu: Gpu, models: ModelPair): Promise<void> {
  const documents = documentsOf({ documents: 5, tokens: 16, layers: MIDDLE });
  const [{ delta }] = await meanDifference(gpu, { models, documents, layers: MIDDLE });
  const hook = `blocks.${MIDDLE[0]}.hook_resid_post`;
  const expected = new Float64Array(delta.length);
  const size = new Float64Array(delta.length);
  for (const [sign, side] of [[-1, models.base], [1, models.finetuned]] as const) {
    const model = await side();
    const captured = await model.forward(model.batch(documents), { capture: [hook] });
    (await captured.get(hook).read()).forEach((value, i) => {
      expected[i % delta.length] += sign * value / documents.length;
      size[i % delta.length] += Math.abs(value) / documents.length;
    });
    captured.release();
  }
  expect(delta.every((value, i) => Math.abs(value - expected[i]) <= 2 ** -22 * size[i]), "diff");
}
