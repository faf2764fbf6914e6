/**
 * What does it cost that a model does not fit? `deno task bench:streamed [--folder DIR] [--budget 600MB] [--documents N] [--tokens N]`
 *
 * Compares the model of `large_model.ts` with itself under a LoRA adapter, within the budget, its weights read layer by layer, and
 * then resident in the same run. The differences must be the same to the last bit before any time is printed. Beside it the rate at
 * which the same files are read when nothing is done with what was read.
 */

import { parseArgs } from "@std/cli/parse-args";
import { parseBytes } from "../../cli/common_flags.ts";
import type { Means } from "../../engine/activation_means.ts";
import { formatBytes } from "../../engine/format.ts";
import { Gpu } from "../../engine/gpu/gpu.ts";
import { layersAt, meanDifference } from "../../lens/diff.ts";
import { loadFinetuned, loadModel } from "../../models/load_model.ts";
import { loadedPair } from "../../models/model_shelf.ts";
import { resolveSource } from "../../models/source.ts";
import { SHAPES } from "../shapes.ts";
import { writeRandomAdapter, writeRandomModel } from "./random_model.ts";

const flags = parseArgs(Deno.args, {
  string: ["folder", "documents", "tokens", "budget"],
  default: { documents: "8", tokens: "32", budget: "600MB" },
});
const [documents, tokens] = [Number(flags.documents), Number(flags.tokens)];

/** Rereads a file in pieces into the same memory: bytes a second. */
async function readRate(path: string): Promise<number> {
  using file = await Deno.open(path);
  const piece = new Uint8Array(16 << 20);
  const start = performance.now();
  let bytes = 0;
  for (let count = await file.read(piece); count !== null; count = await file.read(piece)) {
    bytes += count;
  }
  return bytes / ((performance.now() - start) / 1000);
}

/** One comparison on a device of its own: its seconds, its result, and what it took. */
async function compare(folder: string, memoryBudget: number | undefined) {
  using gpu = await Gpu.open({ memoryBudget });
  const base = await loadModel(gpu, await resolveSource(`${folder}/base`));
  const tuned = await loadFinetuned(gpu, base, await resolveSource(`${folder}/lora`));
  const { transformer } = base;
  if ((transformer.weights.stream !== undefined) !== (memoryBudget !== undefined)) {
    throw new Error("The budget does not decide whether the weights are streamed");
  }
  const ids = Array.from(
    { length: documents },
    (_, d) => Array.from({ length: tokens }, (_, i) => (d * 7919 + i * 104_729 + 17) % 100_000),
  );
  const run = (documents: number[][]): Promise<Means[]> =>
    meanDifference(gpu, {
      models: loadedPair(transformer, tuned.transformer),
      documents,
      layers: layersAt(["0.5"], transformer.spec.layers),
    });
  await run([ids[0].slice(0, 2)]); // compiles the kernels
  const [start, read] = [performance.now(), transformer.weights.stream?.readMs ?? 0];
  const [means] = await run(ids);
  const seconds = (performance.now() - start) / 1000;
  const reading = ((transformer.weights.stream?.readMs ?? 0) - read) / 1000;
  return { means, seconds, reading, peak: gpu.buffers.peakBytes };
}

const kept = flags.folder !== undefined;
const folder = flags.folder ?? await Deno.makeTempDir({ prefix: "palimpsest-large-" });
try {
  if (!await Deno.stat(`${folder}/lora/adapter_model.safetensors`).catch(() => undefined)) {
    console.error(`Writing a random model to ${folder}`);
    await writeRandomModel(`${folder}/base`, SHAPES["1B"], 1);
    await writeRandomAdapter(`${folder}/lora`, SHAPES["1B"], 16, 2);
  }
  const budget = parseBytes(flags.budget);
  const rate = await readRate(`${folder}/base/model.safetensors`);
  const streamed = await compare(folder, budget);
  const resident = await compare(folder, undefined);
  for (const part of ["delta", "base", "finetuned"] as const) {
    const differ = streamed.means[part].some((v, i) => !Object.is(v, resident.means[part][i]));
    if (differ) throw new Error(`${part} is not the same to the last bit`);
  }
  const share = 100 * resident.seconds / streamed.seconds;
  console.log(`| ${documents} documents of ${tokens} tokens, both models, half of the layers | |`);
  console.log("|---|---|");
  console.log(`| resident | ${resident.seconds.toFixed(1)} s, ${formatBytes(resident.peak)} |`);
  console.log(
    `| within ${flags.budget} | ${streamed.seconds.toFixed(1)} s, ${formatBytes(streamed.peak)} |`,
  );
  console.log(`| the same bits at this share of the resident speed | ${share.toFixed(0)} % |`);
  console.log(`| of which reading, beside the computing | ${streamed.reading.toFixed(1)} s |`);
  console.log(`| the file read alone | ${(rate / 1e9).toFixed(2)} GB/s |`);
} finally {
  if (!kept) await Deno.remove(folder, { recursive: true });
}
