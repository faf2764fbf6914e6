/**
 * Does a real-sized model run here? `deno task bench:large [--folder DIR] [--documents N] [--new-tokens N]`
 *
 * Writes a model shaped like Llama 3.2 1B with random bf16 weights (2.5 GB) and a LoRA adapter of it into a temporary
 * folder (or uses those in DIR), then loads it, compares it with itself under the adapter, and generates. The results are
 * checked (finite, and the generated tokens the same one sequence at a time) before anything is timed. Memory is what the
 * system counts for this process: on a software adapter the model lies in it too.
 */

import { parseArgs } from "@std/cli/parse-args";
import { generate } from "../../engine/generation/generate.ts";
import { Gpu } from "../../engine/gpu/gpu.ts";
import { formatBytes } from "../../engine/format.ts";
import { layersAt, meanDifference } from "../../lens/diff.ts";
import { loadFinetuned, loadModel } from "../../models/load_model.ts";
import { loadedPair } from "../../models/model_shelf.ts";
import { resolveSource } from "../../models/source.ts";
import { SHAPES } from "../shapes.ts";
import { writeRandomAdapter, writeRandomModel } from "./random_model.ts";

const flags = parseArgs(Deno.args, {
  string: ["folder", "documents", "tokens", "new-tokens"],
  default: { documents: "4", tokens: "16", "new-tokens": "8" },
});
const [documents, tokens, newTokens] = [flags.documents, flags.tokens, flags["new-tokens"]]
  .map(Number);

const rows: [string, string][] = [];
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Runs and times one step. */
async function timed<T>(run: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await run();
  return [result, performance.now() - start];
}

/** The most memory that this process has had, as Linux counts it; undefined elsewhere. */
function peakMemory(): number | undefined {
  try {
    const kilobytes = /VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

function report(what: string, value: string) {
  rows.push([what, value]);
  console.error(`${what}: ${value}`);
}

function someIds(length: number, seed: number): number[] {
  return Array.from({ length }, (_, i) => (seed * 7919 + i * 104_729 + 17) % 100_000);
}

const kept = flags.folder !== undefined;
const folder = flags.folder ?? await Deno.makeTempDir({ prefix: "palimpsest-large-" });
try {
  const [model, adapter] = [`${folder}/base`, `${folder}/lora`];
  if (!await Deno.stat(`${adapter}/adapter_model.safetensors`).catch(() => undefined)) {
    console.error(`Writing a random model to ${folder}`);
    await writeRandomModel(model, SHAPES["1B"], 1);
    await writeRandomAdapter(adapter, SHAPES["1B"], 16, 2);
  }
  using gpu = await Gpu.open();
  const start = peakMemory();

  const [base, loading] = await timed(async () => {
    const loaded = await loadModel(gpu, await resolveSource(model));
    await gpu.finish();
    return loaded;
  });
  const bytes = gpu.buffers.allocatedBytes;
  const rate = bytes / 1e9 / (loading / 1000);
  report("load", `${seconds(loading)} for ${formatBytes(bytes)} (${rate.toFixed(2)} GB/s)`);
  const peak = peakMemory();
  if (peak !== undefined) {
    report(
      "peak memory of loading",
      `${formatBytes(peak)} (${formatBytes(start!)} before), ${
        (peak / bytes).toFixed(2)
      } × the weights`,
    );
  }
  const tuned = await loadFinetuned(gpu, base, await resolveSource(adapter));
  report("adapter, rank 16", formatBytes(gpu.buffers.allocatedBytes - bytes));

  const ids = Array.from({ length: documents }, (_, d) => someIds(tokens, d));
  const { spec } = base.transformer;
  const layers = layersAt(["0.5"], spec.layers);
  const compare = (ids: number[][]) =>
    meanDifference(gpu, {
      models: loadedPair(base.transformer, tuned.transformer),
      documents: ids,
      layers,
    });
  await compare([ids[0].slice(0, 2)]); // compiles the kernels
  const [[means], diffing] = await timed(() => compare(ids));
  const length = Math.hypot(...means.delta.subarray(0, spec.hiddenSize));
  if (!(length > 0 && length < Infinity)) throw new Error(`δ has length ${length}`);
  const diffTokens = 2 * documents * tokens;
  report(
    `diff of ${documents} documents of ${tokens} tokens, layer ${layers[0]}`,
    `${seconds(diffing)} (${(diffTokens / (diffing / 1000)).toFixed(1)} tokens/s, both models)`,
  );

  const prompts = [someIds(12, 50), someIds(5, 51)];
  const sampling = { temperature: 0, seed: 0 };
  const run = (prompts: number[][], maxNewTokens = newTokens) =>
    generate(tuned.transformer, { prompts, maxNewTokens, sampling });
  const [alone] = await run([prompts[1]], 2);
  const [both, generating] = await timed(() => run(prompts));
  if (alone.ids.join() !== both[1].ids.slice(0, 2).join()) {
    throw new Error(`a sequence alone gives ${alone.ids}, in a batch ${both[1].ids}`);
  }
  const [, one] = await timed(() => run([prompts[1]]));
  report(
    `generate ${newTokens} tokens, 1 sequence, with its prompt of 5`,
    `${seconds(one)} (${(newTokens / (one / 1000)).toFixed(2)} tokens/s)`,
  );
  report(
    `generate ${newTokens} tokens, 2 sequences, with prompts of 12 and 5`,
    `${seconds(generating)} (${(2 * newTokens / (generating / 1000)).toFixed(2)} tokens/s)`,
  );
  report("peak of device buffers", formatBytes(gpu.buffers.peakBytes));
  const most = peakMemory();
  if (most !== undefined) report("peak memory in all", formatBytes(most));

  const { adapter: { vendor, architecture, description }, backend } = gpu;
  const cores = navigator.hardwareConcurrency;
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${backend}, ${
      description || `${vendor} ${architecture}`
    }, ${cores} CPU cores\n`,
  );
  console.log("| | |\n|---|---|");
  for (const [what, value] of rows) console.log(`| ${what} | ${value} |`);
} finally {
  if (!kept) await Deno.remove(folder, { recursive: true });
}
