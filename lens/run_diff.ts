/**
 * The main job from models to files: diff, readout and relevance, each a step of a run folder. A finished step is not
 * done again, and an interrupted one goes on where it was.
 */

import type { Means } from "../engine/activation_means.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import type { ModelPair } from "../models/model_shelf.ts";
import { diffWork, meanDifference } from "./diff.ts";
import type { Selection } from "./documents.ts";
import { decodeMeans, decodeStates, encodeMeans, encodeStates } from "./means_file.ts";
import { type LayerReadout, readLayer } from "./readout.ts";
import type { RunFolder } from "./results/run_folder.ts";
import type { JsonValue } from "./results/stable_json.ts";
import { type TopicRelevance, topicRelevance } from "./topic.ts";

/** Documents on which the sibling's δ is taken: it is a null, and its direction is steady by then. */
const SIBLING_DOCUMENTS = 256;

/** Milliseconds between checkpoints of the diff. */
const CHECKPOINT_EVERY = 30_000;

/** Shows how far a piece of work has come. */
export interface StepProgress {
  update(done: number): void;
  done(): void;
}

/** Everything a run needs. */
export interface DiffRun {
  gpu: Gpu;
  models: ModelPair;
  tokenizer: Tokenizer;
  selection: Selection;
  layers: readonly number[];
  /** Positions that are read, by their names; all of them are computed. */
  positions: readonly number[];
  seed: number;
  /** The base with another finetune of it, or none; `release` is called when it has been read. */
  sibling?: { name: string; models: ModelPair; release(): void };
  /** Words that mark the finetuning's topic, or none where no finetuning text is known. */
  keywords?: readonly string[];
  folder: RunFolder;
  /** What the manifest says of each step besides its files. */
  provenance: () => Promise<Record<string, JsonValue>>;
  /** Begins to show a piece of work, of which an earlier, interrupted run did the first `begun`. */
  progress: (label: string, total: number, unit: string, begun?: number) => StepProgress;
  signal?: AbortSignal;
}

/** One layer of the result. */
export interface LayerResult extends LayerReadout {
  /** Null where no keywords are known. */
  relevance: TopicRelevance | null;
}

/** Runs what is not yet done and returns the result of every layer. */
export async function runDiff(run: DiffRun): Promise<LayerResult[]> {
  const means = await diffStep(run);
  const results: LayerResult[] = [];
  for (const [i, layer] of run.layers.entries()) {
    const readout = await readoutStep(run, layer, means[i]);
    const relevance = run.keywords ? topicRelevance(readout, run.keywords) : null;
    results.push({ ...readout, relevance });
  }
  await relevanceStep(run, results);
  return results;
}

async function diffStep(run: DiffRun): Promise<Means[]> {
  const { folder, layers, selection } = run;
  if (!await folder.has("diff")) {
    const means = await measure(run, "diff", run.models, selection.tokens);
    await folder.writeBytes(
      "diff.safetensors",
      encodeMeans(layers, means, selection.firstPosition),
    );
    await folder.finish("diff", {
      documents: selection.tokens.length,
      dropped: selection.dropped,
      dropped_by_reason: selection.reasons,
      ...await run.provenance(),
    });
  }
  const bytes = new Uint8Array(await folder.readBytes("diff.safetensors"));
  return await decodeMeans(bytes, layers);
}

/** δ of the sibling at each layer. */
async function siblingStep(run: DiffRun): Promise<Means[] | undefined> {
  const { folder, layers, selection, sibling } = run;
  if (!sibling) return undefined;
  if (!await folder.has("sibling")) {
    const documents = selection.tokens.slice(0, SIBLING_DOCUMENTS);
    const means = await measure(run, "sibling", sibling.models, documents);
    sibling.release();
    await folder.writeBytes(
      "sibling.safetensors",
      encodeMeans(layers, means, selection.firstPosition),
    );
    await folder.finish("sibling", { name: sibling.name, documents: means[0].documents });
  }
  const bytes = new Uint8Array(await folder.readBytes("sibling.safetensors"));
  return await decodeMeans(bytes, layers);
}

async function measure(
  { gpu, layers, folder, selection, progress, signal }: DiffRun,
  step: string,
  models: ModelPair,
  documents: readonly Uint32Array[],
): Promise<Means[]> {
  const name = `${step}.sums`;
  const kept = await folder.readCheckpoint(name);
  const resume = kept ? await decodeStates(new Uint8Array(kept), layers.length) : undefined;
  const label = step === "diff" ? "Comparing activations" : "Comparing a sibling";
  const { total, begun } = diffWork({ models, documents, resume });
  const bar = progress(label, total, models.together ? "documents" : "passes", begun);
  try {
    return await meanDifference(gpu, {
      models,
      documents,
      positions: selection.positions,
      layers,
      resume,
      progress: (done) => bar.update(done),
      checkpoint: (state) => folder.writeCheckpoint(name, encodeStates(state)),
      checkpointEvery: CHECKPOINT_EVERY,
      signal,
    });
  } finally {
    bar.done();
  }
}

async function readoutStep(run: DiffRun, layer: number, means: Means): Promise<LayerReadout> {
  const { folder } = run;
  const step = `readout_${layer}`;
  const file = `${step}.json`;
  if (!await folder.has(step)) {
    const siblings = await siblingStep(run);
    let bar: StepProgress | undefined;
    const readout = await readLayer({
      ...run,
      layer,
      means,
      firstPosition: run.selection.firstPosition,
      sibling: siblings?.[run.layers.indexOf(layer)].delta,
      progress: (done, total) => {
        bar ??= run.progress(`Reading layer ${layer} with Patchscope`, total, "readings");
        bar.update(done);
      },
    }).finally(() => bar?.done());
    await folder.writeJson(file, readout as unknown as JsonValue);
    await folder.finish(step, await run.provenance());
  }
  return await folder.readJson(file) as unknown as LayerReadout;
}

async function relevanceStep({ folder, keywords }: DiffRun, results: LayerResult[]): Promise<void> {
  if (!keywords || await folder.has("relevance")) return;
  const layers = results.map(({ layer, relevance }) => ({ layer, ...relevance }));
  await folder.writeJson("relevance.json", layers as unknown as JsonValue);
  await folder.finish("relevance");
}
