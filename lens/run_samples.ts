/** The steps of a run that need the differences of single documents: spectrum and stability. */

import type { Means } from "../engine/activation_means.ts";
import type { DiffRun } from "./diff_run.ts";
import {
  differenceBytes,
  DIFFERENCES_LIMIT,
  type DocumentDifferences,
  documentDifferences,
} from "./document_differences.ts";
import { sampleDocuments } from "./document_sample.ts";
import { likeliestTokens } from "./logit_lens.ts";
import { namedTokens } from "./readout.ts";
import type { JsonValue } from "./results/stable_json.ts";
import { type Spectrum, spectrum } from "./spectrum.ts";
import {
  BOOTSTRAP_DRAWS,
  type Stability,
  stability,
  type StabilityDraws,
  stabilityDraws,
} from "./stability.ts";

/** Documents whose differences are kept, chosen by the seed where there are more. */
export const KEPT_DOCUMENTS = 1000;

/** What both results say of their documents. */
interface OnDocuments {
  layer: number;
  /** Documents that it was taken on … */
  documents: number;
  /** … of so many that δ is the mean of. */
  of_documents: number;
}

/** `spectrum_L.json`. */
export interface LayerSpectrum extends OnDocuments {
  positions: ({ position: number } & Spectrum)[];
}

/** `stability_L.json`; positions without any difference are not in it. */
export interface LayerStability extends OnDocuments {
  /** Resamples of the bootstrap. */
  draws: number;
  positions: ({ position: number } & Stability)[];
}

/** What was asked for of these, for one layer. */
export interface LayerSamples {
  spectrum?: LayerSpectrum;
  stability?: LayerStability;
}

const KINDS = ["spectrum", "stability"] as const;

/** Does what is asked for and not yet done, and returns the result of every layer. */
export async function samplesSteps(run: DiffRun, means: readonly Means[]): Promise<LayerSamples[]> {
  const kinds = KINDS.filter((kind) => run[kind]);
  const missing: number[] = [];
  for (const layer of run.layers) {
    const done = await Promise.all(kinds.map((kind) => run.folder.has(`${kind}_${layer}`)));
    if (done.includes(false)) missing.push(layer);
  }
  if (missing.length > 0) await sampleLayers(run, missing, means);
  return await Promise.all(run.layers.map(async (layer) => {
    const results = kinds.map(async (kind) => [
      kind,
      await run.folder.readJson(`${kind}_${layer}.json`),
    ]);
    return Object.fromEntries(await Promise.all(results)) as LayerSamples;
  }));
}

/** Keeps the differences of as many layers at a time as there is room for. */
async function sampleLayers(
  run: DiffRun,
  layers: readonly number[],
  means: readonly Means[],
): Promise<void> {
  const { models, positions, seed, signal } = run;
  const selection = sampleDocuments(run.selection, KEPT_DOCUMENTS, seed);
  const documents = selection.tokens.length;
  const perLayer = differenceBytes(documents, models.spec.hiddenSize, positions.length);
  const perGroup = Math.max(1, Math.floor(DIFFERENCES_LIMIT / perLayer));
  const draws = stabilityDraws(documents, seed);
  const turns = models.together ? 1 : 2;
  for (let first = 0; first < layers.length; first += perGroup) {
    const group = layers.slice(first, first + perGroup);
    const bar = run.progress("Keeping single differences", turns * documents, "documents");
    const differences = await documentDifferences(run.gpu, models, selection, {
      layers: group,
      positions,
      progress: (done) => bar.update(done),
      signal,
    }).finally(() => bar.done());
    for (const layer of group) {
      await spectrumStep(run, layer, differences);
      await stabilityStep(run, layer, differences, means[run.layers.indexOf(layer)], draws);
    }
  }
}

async function spectrumStep(
  run: DiffRun,
  layer: number,
  differences: DocumentDifferences,
): Promise<void> {
  if (!run.spectrum || await run.folder.has(`spectrum_${layer}`)) return;
  const positions: LayerSpectrum["positions"] = [];
  await eachPosition(run, `Counting directions of layer ${layer}`, (position) => {
    const found = spectrum(differences.at(layer, position), differences.hidden);
    positions.push({ position, ...found });
    return Promise.resolve();
  });
  const result: LayerSpectrum = { ...onDocuments(run, layer, differences), positions };
  await keep(run, `spectrum_${layer}`, result as unknown as JsonValue);
}

async function stabilityStep(
  run: DiffRun,
  layer: number,
  differences: DocumentDifferences,
  means: Means,
  draws: StabilityDraws,
): Promise<void> {
  if (!run.stability || await run.folder.has(`stability_${layer}`)) return;
  const { tokenizer, selection, models, readThrough } = run;
  const positions: LayerStability["positions"] = [];
  await eachPosition(run, `Drawing documents again for layer ${layer}`, async (position) => {
    const found = await stability(differences.at(layer, position), {
      hidden: differences.hidden,
      draws,
      norm: means.finetunedNorm[position - selection.firstPosition],
      read: async (vectors) => await likeliestTokens(await models[readThrough](), vectors),
      named: (ranked) => namedTokens([ranked], tokenizer)[0],
    });
    if (found) positions.push({ position, ...found });
  });
  const result: LayerStability = {
    ...onDocuments(run, layer, differences),
    draws: BOOTSTRAP_DRAWS,
    positions,
  };
  await keep(run, `stability_${layer}`, result as unknown as JsonValue);
}

async function eachPosition(
  { positions, progress, signal }: DiffRun,
  label: string,
  work: (position: number) => Promise<void>,
): Promise<void> {
  const bar = progress(label, positions.length, "positions");
  try {
    for (const [i, position] of positions.entries()) {
      signal?.throwIfAborted();
      await work(position);
      bar.update(i + 1);
    }
  } finally {
    bar.done();
  }
}

function onDocuments(
  { selection }: DiffRun,
  layer: number,
  { documents }: DocumentDifferences,
): OnDocuments {
  return { layer, documents, of_documents: selection.tokens.length };
}

async function keep({ folder, provenance }: DiffRun, step: string, result: JsonValue) {
  await folder.writeJson(`${step}.json`, result);
  await folder.finish(step, await provenance());
}
