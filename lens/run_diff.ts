/**
 * The main job from models to files: diff, readout and relevance, each a step of a run folder. A finished step is not
 * done again, and an interrupted one goes on where it was.
 */

import type { Means } from "../engine/activation_means.ts";
import { type DiffRun, meansStep, type StepProgress } from "./diff_run.ts";
import { type LayerReadout, readLayer } from "./readout.ts";
import type { JsonValue } from "./results/stable_json.ts";
import { type InterpolationResult, interpolationSteps } from "./run_interpolation.ts";
import { type LayerSamples, samplesSteps } from "./run_samples.ts";
import { type TopicRelevance, topicRelevance } from "./topic.ts";

export type { DiffRun, StepProgress };

/** Documents on which the sibling's δ is taken: it is a null, and its direction is steady by then. */
const SIBLING_DOCUMENTS = 256;

/** One layer of the result. */
export interface LayerResult extends LayerReadout, LayerSamples {
  /** Null where no keywords are known. */
  relevance: TopicRelevance | null;
}

/** The result. */
export interface DiffResult {
  layers: LayerResult[];
  /** Where models between the two were asked for. */
  interpolation?: InterpolationResult;
}

/** Runs what is not yet done and returns all of the result. */
export async function runDiff(run: DiffRun): Promise<DiffResult> {
  const means = await diffStep(run);
  const layers: LayerResult[] = [];
  for (const [i, layer] of run.layers.entries()) {
    const readout = await readoutStep(run, layer, means[i]);
    const relevance = run.keywords ? topicRelevance(readout, run.keywords) : null;
    layers.push({ ...readout, relevance });
  }
  await relevanceStep(run, layers);
  const samples = await samplesSteps(run, means);
  const interpolation = await interpolationSteps(run, means);
  return { layers: layers.map((layer, i) => ({ ...layer, ...samples[i] })), interpolation };
}

async function diffStep(run: DiffRun): Promise<Means[]> {
  const { selection } = run;
  const models = () => Promise.resolve(run.models);
  const step = { step: "diff", label: "Comparing activations", models, selection };
  return await meansStep(run, step, async () => ({
    documents: selection.tokens.length,
    dropped: selection.dropped,
    dropped_by_reason: selection.reasons,
    ...await run.provenance(),
  }));
}

/** δ of the sibling at each layer. */
async function siblingStep(run: DiffRun): Promise<Means[] | undefined> {
  const { sibling } = run;
  if (!sibling) return undefined;
  const selection = {
    ...run.selection,
    tokens: run.selection.tokens.slice(0, SIBLING_DOCUMENTS),
  };
  const models = () => Promise.resolve(sibling.models);
  const step = { step: "sibling", label: "Comparing a sibling", models, selection };
  return await meansStep(run, step, (means) => {
    sibling.release();
    return Promise.resolve({ name: sibling.name, documents: means[0].documents });
  });
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
