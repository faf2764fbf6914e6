/**
 * The main job from models to files: diff, readout and relevance, each a step of a run folder. A finished step is not
 * done again, and an interrupted one goes on where it was.
 */

import type { Means } from "../engine/activation_means.ts";
import { type DiffRun, meansStep, type StepProgress } from "./diff_run.ts";
import { gradeScales, type LayerReadout, readLayer } from "./readout.ts";
import { parseJson } from "./results/json_file.ts";
import { settledStep } from "./results/settled_step.ts";
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

/** The lists of every vector, and the scales that the grader chose; chosen again, without reading again, by another grader. */
async function readoutStep(run: DiffRun, layer: number, means: Means): Promise<LayerReadout> {
  const { grading: { grader, grades, settings } } = run;
  const step = `readout_${layer}`;
  let made: Read["made"];
  const settled = { step, settings, provenance: () => Promise.resolve(made) };
  return await settledStep(run.folder, settled, async () => {
    const read = await ungradedLists(run, layer, means);
    made = read.made;
    let bar: StepProgress | undefined;
    const graded = await gradeScales(read.lists, grader, (done, total) => {
      bar ??= run.progress(`Choosing scales of layer ${layer}`, total, "vectors");
      bar.update(done);
    }).finally(() => bar?.done());
    await grades.file();
    return graded;
  });
}

/** What the lenses read, and with what. */
interface Read {
  lists: LayerReadout;
  made: Record<string, JsonValue>;
}

/** The lists of a layer: those that another grader has seen, those of an interrupted grading, or new ones. */
async function ungradedLists(run: DiffRun, layer: number, means: Means): Promise<Read> {
  const { folder } = run;
  const step = `readout_${layer}`;
  const done = folder.step(step);
  if (done && await folder.has(step)) {
    const { settings: _s, files: _f, ...made }: Record<string, unknown> = done;
    const lists = await folder.readJson(`${step}.json`) as unknown;
    return { lists, made } as Read;
  }
  // A grader may take long, or fail: until it is done the lists are kept.
  const checkpoint = `${step}.lists`;
  const kept = await folder.readCheckpoint(checkpoint);
  if (kept) return parseJson(kept, folder.path, checkpoint) as unknown as Read;
  const read = { lists: await readLists(run, layer, means), made: await run.provenance() };
  await folder.writeCheckpoint(checkpoint, new TextEncoder().encode(JSON.stringify(read)));
  return read;
}

async function readLists(run: DiffRun, layer: number, means: Means): Promise<LayerReadout> {
  const siblings = await siblingStep(run);
  let bar: StepProgress | undefined;
  return await readLayer({
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
}

async function relevanceStep(
  { folder, keywords, grading }: DiffRun,
  results: LayerResult[],
): Promise<void> {
  if (!keywords) return;
  const step = { step: "relevance", settings: grading.settings };
  await settledStep(
    folder,
    step,
    () => Promise.resolve(results.map(({ layer, relevance }) => ({ layer, ...relevance }))),
  );
}
