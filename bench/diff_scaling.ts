/**
 * Does the comparison scale? `deno run -A cli/driver/launch.ts run -A bench/diff_scaling.ts [--documents 1000,2000] [--tokens N]`
 *
 * Compares the embedded base with an organism, a LoRA adapter on every layer, over more and more documents, at the middle layer:
 * time, device memory and this process's memory. Beside it two passes of the base over the same batches, cut at the same layer:
 * what a pair has to cost at least. Prints a Markdown table.
 */

import { parseArgs } from "@std/cli/parse-args";
import { packBatch } from "../engine/batch.ts";
import { batchSize, tokensPerBatch } from "../engine/batch_room.ts";
import { formatBytes } from "../engine/format.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { InFlight } from "../engine/in_flight.ts";
import type { Transformer } from "../engine/transformer.ts";
import { layersAt, meanDifference } from "../lens/diff.ts";
import { hookAfter } from "../lens/diff_batch.ts";
import { loadFinetuned, loadModel, loadTokenizer } from "../models/load_model.ts";
import { loadedPair } from "../models/model_shelf.ts";
import { resolveSource } from "../models/source.ts";

const flags = parseArgs(Deno.args, {
  string: ["documents", "tokens"],
  default: { documents: "1000,2000,5000,10000", tokens: "128" },
});
const counts = flags.documents.split(",").map(Number);
const tokens = Number(flags.tokens);

using gpu = await Gpu.open();
const source = await resolveSource("embedded:base");
const base = await loadModel(gpu, source);
const tuned = await loadFinetuned(gpu, base, await resolveSource("embedded:cake_bake"));
const { spec } = base.transformer;
const [layer] = layersAt(["0.5"], spec.layers);
const tokenizer = await loadTokenizer(source, spec);

/** Sentences in another order for each document, as a tokenizer would get them. */
const words = "the oven is hot and a cat sat on some old bread while rain fell over our town".split(
  " ",
);
const text = (d: number) =>
  Array.from({ length: 2 * tokens }, (_, i) => words[(d * 31 + i * i + i * d) % words.length])
    .join(" ");

function residentBytes(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? NaN);
}

/** Two passes of one model over documents, which nothing is done with. */
async function twoPasses(model: Transformer, documents: readonly Uint32Array[]): Promise<void> {
  const flight = new InFlight(gpu);
  for (let done = 0; done < documents.length;) {
    const some = documents.slice(
      done,
      done + batchSize(documents, done, tokensPerBatch(gpu, model)),
    );
    for (let turn = 0; turn < 2; turn++) {
      const recorder = gpu.record();
      model.record(recorder, packBatch(some, spec), { capture: [hookAfter(layer)] }).release();
      await recorder.submit();
    }
    await flight.add();
    done += some.length;
  }
  await flight.drain();
}

const models = loadedPair(base.transformer, tuned.transformer);
const seconds = async (work: () => Promise<unknown>) => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};
gpu.timings.detailed = true;

console.log(
  "| documents | tokenising, s | pair, s | documents/s | two passes of one model, s | ratio | device busy | device memory | process |",
);
console.log("|---|---|---|---|---|---|---|---|---|");
let warm = false;
for (const count of counts) {
  let documents: Uint32Array[] = [];
  const tokenising = await seconds(() => {
    documents = Array.from({ length: count }, (_, d) => {
      const ids = tokenizer.encode(text(d), { special: true });
      return Uint32Array.from({ length: tokens }, (_, i) => ids[i % ids.length]);
    });
    return Promise.resolve();
  });
  const compare = (some: Uint32Array[]) =>
    meanDifference(gpu, { models, documents: some, layers: [layer] });
  if (!warm) await compare(documents.slice(0, 32)); // compiles the kernels
  warm = true;
  const busyBefore = gpu.timings.ms("compute");
  const pair = await seconds(() => compare(documents));
  const busy = (gpu.timings.ms("compute") - busyBefore) / 1000 / pair;
  const alone = await seconds(() => twoPasses(base.transformer, documents));
  const cells = [
    count,
    tokenising.toFixed(1),
    pair.toFixed(1),
    (count / pair).toFixed(1),
    alone.toFixed(1),
    (pair / alone).toFixed(2),
    `${(100 * busy).toFixed(0)} %`,
    formatBytes(gpu.buffers.allocatedBytes),
    formatBytes(residentBytes()),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
console.log(
  `\n${new Date().toISOString().slice(0, 10)}, ${gpu.backend}, ${
    gpu.adapter.description || gpu.adapter.architecture
  }, ${navigator.hardwareConcurrency} CPU cores, layer ${layer}, ${tokens} tokens a document`,
);
