/**
 * The causal effect of δ (METHOD 5) as a step of a run folder: what replacing the finetuned model's component along δ by
 * the base's does to its losses, on its finetuning texts and on generic ones, beside the same with directions that mean
 * nothing. Reversed: the base, given the finetuned model's component.
 */

import type { Means } from "../../engine/activation_means.ts";
import { UsageError } from "../../engine/errors.ts";
import type { ModelPair } from "../../models/model_shelf.ts";
import type { StepProgress } from "../diff_run.ts";
import { vectorNorm } from "../patchscope.ts";
import type { RunFolder } from "../results/run_folder.ts";
import type { JsonValue } from "../results/stable_json.ts";
import { randomDifferences, randomDirections } from "./directions.ts";
import { type CausalMode, type DocumentLosses, measureLosses } from "./measure.ts";
import { type ControlPlaces, resamples, type SetEffect, setEffect } from "./statistics.ts";

/** Texts on which losses are taken. */
export const CAUSAL_SETS = ["finetuning", "generic"] as const;

/** One of {@link CAUSAL_SETS}. */
export type CausalSet = typeof CAUSAL_SETS[number];

/** Milliseconds between checkpoints. */
const CHECKPOINT_EVERY = 30_000;

/** Everything the step needs. */
export interface CausalRun {
  models: ModelPair;
  layer: number;
  /** Of this layer. */
  means: Means;
  /** What the first position of the means is called (default: 0). */
  firstPosition?: number;
  /** Whose δ are tried, by their names. */
  positions: readonly number[];
  /** Token ids of each document. */
  sets: Readonly<Record<CausalSet, readonly ArrayLike<number>[]>>;
  mode: CausalMode;
  /** Whether the base is edited, to the finetuned model's component, in the place of the finetuned model. */
  reverse: boolean;
  /** Controls of each kind. */
  controls: number;
  seed: number;
  folder: RunFolder;
  /** What the manifest says of the step besides its files. */
  provenance: () => Promise<Record<string, JsonValue>>;
  progress: (label: string, total: number, unit: string, begun?: number) => StepProgress;
  signal?: AbortSignal;
}

/** The effect of the δ of one position. */
export interface PositionEffect {
  position: number;
  /** ‖δ‖; the intervention depends on its direction alone. */
  delta_norm: number;
  sets: Record<CausalSet, SetEffect>;
}

/** The whole result. */
export interface CausalResult {
  layer: number;
  /** Where the component comes from. */
  mode: CausalMode;
  /** The model that is edited and whose losses these are. */
  subject: "base" | "finetuned";
  positions: PositionEffect[];
}

/** Measures what is not yet done, and returns the result. */
export async function causalStep(run: CausalRun): Promise<CausalResult> {
  const { folder, layer, mode, reverse } = run;
  const step = `causal_${layer}_${mode}${reverse ? "_reverse" : ""}`;
  const file = `${step}.json`;
  if (!await folder.has(step)) {
    const { result, documents } = await measure(run, step);
    await folder.writeJson(`${step}_documents.json`, documents as never);
    await folder.writeJson(file, result as unknown as JsonValue);
    await folder.finish(step, await run.provenance());
  }
  return await folder.readJson(file) as unknown as CausalResult;
}

/** `causal_…_documents.json`: losses of every document in each set, and the names of a document's sums. */
export interface CausalDocuments {
  /** `unedited`, `position_1` …, `random_0` …, `random_difference_0` … */
  names: string[];
  sets: Record<CausalSet, DocumentLosses[]>;
}

/** What was measured, and what it comes to. */
interface Measured {
  result: CausalResult;
  documents: CausalDocuments;
}

async function measure(run: CausalRun, step: string): Promise<Measured> {
  const { models, layer, positions, sets, mode, reverse, controls, seed, signal } = run;
  const subject = reverse ? "base" : "finetuned";
  const deltas = positions.map((position) => deltaAt(run, position));
  const random = randomDirections(models.spec.hiddenSize, controls, seed);
  const options = { layer, count: controls, seed, signal };
  const pairs = await randomDifferences(await models[subject](), sets.generic, options);
  const directions = [...deltas, ...random, ...pairs];

  const resume = {} as Record<CausalSet, DocumentLosses[]>;
  for (const set of CAUSAL_SETS) resume[set] = await readCheckpoint(run, `${step}.${set}`);
  const total = CAUSAL_SETS.reduce((sum, set) => sum + sets[set].length, 0);
  let before = 0;
  const begun = CAUSAL_SETS.reduce((sum, set) => sum + resume[set].length, 0);
  const bar = run.progress("Measuring losses", total, "documents", begun);
  const measured = {} as Record<CausalSet, DocumentLosses[]>;
  try {
    for (const set of CAUSAL_SETS) {
      measured[set] = await measureLosses({
        models,
        subject,
        documents: sets[set],
        layer,
        directions,
        mode,
        resume: resume[set],
        progress: (done) => bar.update(before + done),
        checkpoint: (done) => writeCheckpoint(run, `${step}.${set}`, done),
        checkpointEvery: CHECKPOINT_EVERY,
        signal,
      });
      await writeCheckpoint(run, `${step}.${set}`, measured[set]);
      before += sets[set].length;
    }
  } finally {
    bar.done();
  }
  const names = [
    "unedited",
    ...positions.map((position) => `position_${position}`),
    ...random.map((_, i) => `random_${i}`),
    ...pairs.map((_, i) => `random_difference_${i}`),
  ];
  const documents = { names, sets: measured };
  const effects = causalEffects(documents, seed);
  const result: CausalResult = {
    layer,
    mode,
    subject,
    positions: effects.map(({ position, sets }, i) => ({
      position,
      delta_norm: vectorNorm(deltas[i]),
      sets,
    })),
  };
  return { result, documents };
}

/** What each position's difference does, from the documents' losses: nothing else goes into it. */
export function causalEffects(
  { names, sets }: CausalDocuments,
  seed: number,
): Pick<PositionEffect, "position" | "sets">[] {
  const placesOf = (kind: string) =>
    names.keys().filter((i) => names[i].replace(/_-?\d+$/, "") === kind).toArray();
  const controls: ControlPlaces = {
    random: placesOf("random"),
    random_difference: placesOf("random_difference"),
  };
  const draws = CAUSAL_SETS.map((set) => resamples(sets[set].length, seed));
  return placesOf("position").map((place) => ({
    position: Number(names[place].slice("position_".length)),
    sets: Object.fromEntries(
      CAUSAL_SETS.map((set, i) => [set, setEffect(sets[set], place, controls, draws[i])]),
    ) as Record<CausalSet, SetEffect>,
  }));
}

/** δ at a position. */
function deltaAt({ models, means, firstPosition = 0 }: CausalRun, position: number): Float32Array {
  const { hiddenSize } = models.spec;
  const rows = means.delta.length / hiddenSize;
  const row = position - firstPosition;
  if (!(row >= 0 && row < rows)) {
    throw new UsageError(
      `Cannot take the difference at position ${position}: there are those of ${firstPosition} to ${
        firstPosition + rows - 1
      }`,
    );
  }
  const delta = means.delta.subarray(row * hiddenSize, (row + 1) * hiddenSize);
  if (vectorNorm(delta) > 0) return delta;
  throw new UsageError(
    `Cannot edit along the difference at position ${position}: the models do not differ there`,
  );
}

async function readCheckpoint({ folder }: CausalRun, name: string): Promise<DocumentLosses[]> {
  const bytes = await folder.readCheckpoint(name);
  return bytes === null ? [] : JSON.parse(new TextDecoder().decode(bytes));
}

async function writeCheckpoint(
  { folder }: CausalRun,
  name: string,
  done: readonly DocumentLosses[],
): Promise<void> {
  await folder.writeCheckpoint(name, new TextEncoder().encode(JSON.stringify(done)));
}
