/**
 * Does the comparison scale? `deno run -A cli/driver/launch.ts run -A bench/diff_scaling.ts [--documents 1000,2000] [--tokens N]`
 *
 * Compares the embedded base with an organism, a LoRA adapter on every layer, over more and more documents, at the middle layer:
 * time, the CPU time of this process (of which other work on the machine takes nothing; on software adapters it is the
 * device's too), the share of the time in which the device is at work, device memory and this process's memory. Before that, in turns, the pair and two passes of the base over the
 * same batches, cut at the same layer: what a pair has to cost at least. Prints a Markdown table.
 */

import { cpuUsage } from "node:process";
import { parseArgs } from "@std/cli/parse-args";
import { packBatch } from "../engine/batch.ts";
import { batchSize, tokensPerBatch } from "../engine/batch_room.ts";
import { formatBytes } from "../engine/format.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { Clock, medians, wallSubject } from "../engine/gpu/measure.ts";
import { InFlight } from "../engine/in_flight.ts";
import type { Transformer } from "../engine/transformer.ts";
import { layersAt, meanDifference } from "../lens/diff.ts";
import { hookAfter } from "../lens/diff_batch.ts";
import { loadFinetuned, loadModel, loadTokenizer } from "../models/load_model.ts";
import { loadedPair } from "../models/model_shelf.ts";
import { resolveSource } from "../models/source.ts";
import { busyShare } from "./busy.ts";

const flags = parseArgs(Deno.args, {
  string: ["documents", "tokens"],
  default: { documents: "1000,2000,5000,10000", tokens: "128" },
});
/** Documents that the ratio is taken of: so many that what a run begins and ends with is little of it. */
const IN_TURNS = 256;

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

/** Seconds that this process has computed, on all cores together. */
function cpuSeconds(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1e6;
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
const documentsOf = (count: number) =>
  Array.from({ length: count }, (_, d) => {
    const ids = tokenizer.encode(text(d), { special: true });
    return Uint32Array.from({ length: tokens }, (_, i) => ids[i % ids.length]);
  });
const compare = (documents: Uint32Array[]) =>
  meanDifference(gpu, { models, documents, layers: [layer] });

const few = documentsOf(IN_TURNS);
const [pairMs, aloneMs] = await medians(
  [
    wallSubject(async () => void await compare(few)),
    wallSubject(() => twoPasses(base.transformer, few)),
  ],
  { turns: 5, least: 1 },
);
console.log(
  `In turns, ${IN_TURNS} documents: the pair ${
    (pairMs / 1000).toFixed(2)
  } s, two passes of one model ${(aloneMs / 1000).toFixed(2)} s, ratio ${
    (pairMs / aloneMs).toFixed(2)
  }\n`,
);

const batch = packBatch(few.slice(0, 16), spec);
const { timed } = await Clock.of(
  gpu,
  (recorder) => base.transformer.record(recorder, batch, { capture: [hookAfter(layer)] }).release(),
);
console.log(
  "| documents | tokenising, s | pair, s | documents/s | CPU, s | CPU ms a document | device busy | device memory | process |",
);
console.log("|---|---|---|---|---|---|---|---|---|");
for (const count of counts) {
  let documents: Uint32Array[] = [];
  const tokenising = await seconds(() => Promise.resolve(documents = documentsOf(count)));
  const cpuBefore = cpuSeconds();
  const { share, ms } = await busyShare(gpu, () => compare(documents));
  const [pair, cpu] = [ms / 1000, cpuSeconds() - cpuBefore];
  const cells = [
    count,
    tokenising.toFixed(1),
    pair.toFixed(1),
    (count / pair).toFixed(1),
    cpu.toFixed(0),
    (1000 * cpu / count).toFixed(1),
    timed === "gpu" ? `${(100 * share).toFixed(0)} %` : "–",
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
