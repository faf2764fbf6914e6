/** What a run is made of, and the comparison that several of its steps do. */

import type { Means } from "../engine/activation_means.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import type { ModelPair } from "../models/model_shelf.ts";
import { diffWork, meanDifference } from "./diff.ts";
import type { Selection } from "./documents.ts";
import type { Grading } from "./graders/grading.ts";
import { decodeMeans, decodeStates, encodeMeans, encodeStates } from "./means_file.ts";
import type { RunFolder } from "./results/run_folder.ts";
import type { JsonValue } from "./results/stable_json.ts";

/** Milliseconds between checkpoints of the diff. */
const CHECKPOINT_EVERY = 30_000;

/** Shows how far a piece of work has come. */
export interface StepProgress {
  update(done: number): void;
  done(): void;
}

/** Models between the base and the finetuned one. */
export interface Interpolation {
  /** How far each is from the base: 0 is the base, 1 the finetuned model. */
  strengths: readonly number[];
  /** The base with one of them; `release` is called when it has been compared. */
  at(strength: number): Promise<{ models: ModelPair; release(): void }>;
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
  /** Whose final norm and unembedding the logit lens uses. */
  readThrough: "base" | "finetuned";
  /** Whether to count the directions in which documents differ. */
  spectrum: boolean;
  /** Whether to draw the documents again, for how far δ can be trusted. */
  stability: boolean;
  /** Models between the base and the finetuned one that are to be compared too. */
  interpolation?: Interpolation;
  /** Who chooses Patchscope's scales. */
  grading: Grading;
  /** Words that mark the finetuning's topic, or none where no finetuning text is known. */
  keywords?: readonly string[];
  folder: RunFolder;
  /** What the manifest says of each step besides its files. */
  provenance: () => Promise<Record<string, JsonValue>>;
  /** Begins to show a piece of work, of which an earlier, interrupted run did the first `begun`. */
  progress: (label: string, total: number, unit: string, begun?: number) => StepProgress;
  signal?: AbortSignal;
}

/** What every step takes that goes on from one layer's δ. */
export interface DeltaStep extends
  Pick<
    DiffRun,
    "models" | "tokenizer" | "seed" | "folder" | "provenance" | "progress" | "signal"
  > {
  layer: number;
  /** δ and the means at that layer. */
  means: Means;
  /** What the first position of the means is called. */
  firstPosition: number;
  /** The positions whose δ is used, by their names. */
  positions: readonly number[];
}

/** What of a run a comparison needs. */
export type MeansRun = Pick<DiffRun, "gpu" | "layers" | "folder" | "progress" | "signal">;

/**
 * The means of a step, from its file `STEP.safetensors` if it is finished, else measured. An interrupted step goes on from its
 * raw sums.
 *
 * @param measured called when they had to be measured; what it returns is said of the step in the manifest
 */
export async function meansStep(
  run: MeansRun,
  { step, label, models, selection }: {
    step: string;
    label: string;
    models: () => Promise<ModelPair>;
    selection: Selection;
  },
  measured: (means: Means[]) => Promise<Record<string, JsonValue>>,
): Promise<Means[]> {
  const { folder, layers } = run;
  const file = `${step}.safetensors`;
  if (!await folder.has(step)) {
    const means = await measure(run, `${step}.sums`, label, await models(), selection);
    await folder.writeBytes(file, encodeMeans(layers, means, selection.firstPosition));
    await folder.finish(step, await measured(means));
  }
  return await decodeMeans(new Uint8Array(await folder.readBytes(file)), layers);
}

async function measure(
  { gpu, layers, folder, progress, signal }: MeansRun,
  checkpoint: string,
  label: string,
  models: ModelPair,
  { tokens: documents, positions }: Selection,
): Promise<Means[]> {
  const kept = await folder.readCheckpoint(checkpoint);
  const resume = kept ? await decodeStates(new Uint8Array(kept), layers.length) : undefined;
  const { total, begun } = diffWork({ models, documents, resume });
  const bar = progress(label, total, models.together ? "documents" : "passes", begun);
  try {
    return await meanDifference(gpu, {
      models,
      documents,
      positions,
      layers,
      resume,
      progress: (done) => bar.update(done),
      checkpoint: (state) => folder.writeCheckpoint(checkpoint, encodeStates(state)),
      checkpointEvery: CHECKPOINT_EVERY,
      signal,
    });
  } finally {
    bar.done();
  }
}
