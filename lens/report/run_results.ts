/** All that a run found, as its files have it. What is not there is absent. */

import {
  type AgentRun,
  agentRunSchema,
  checkedResult,
  type EvaluatedGrades,
  evaluatedGradesSchema,
  type Evaluation,
  evaluationSchema,
  summariesSchema,
  type SummariserResult,
  summariserResultSchema,
} from "../agent/results.ts";
import type { Means } from "../../engine/activation_means.ts";
import { memorySource } from "../../engine/weights/byte_source.ts";
import { openSafetensors } from "../../engine/weights/safetensors.ts";
import type { CausalResult } from "../causal/causal.ts";
import { decodeMeans } from "../means_file.ts";
import type { MixingRow } from "../mixing_rows.ts";
import type { LayerReadout } from "../readout.ts";
import type { InterpolationResult } from "../run_interpolation.ts";
import type { LayerSpectrum, LayerStability } from "../run_samples.ts";
import type { Steering } from "../run_steer.ts";
import type { PipelineSummary, PositionSimilarity } from "../summary.ts";
import type { GradedList, GradedRelevance } from "../token_relevance.ts";
import type { TopicRelevance } from "../topic.ts";
import { openParts, type PartFiles, within } from "./run_files.ts";

/** One layer that was read. */
export interface LayerResults {
  layer: number;
  means: Means;
  /** δ and norms of a sibling. */
  sibling?: Means;
  readout?: LayerReadout;
  topic?: TopicRelevance;
  graded?: { relevance: GradedRelevance; lists?: GradedList[]; grader: string };
  spectrum?: LayerSpectrum;
  stability?: LayerStability;
}

/** The comparison of two models. */
export interface DiffResults {
  part: PartFiles;
  base: string;
  finetuned: string;
  documents: number;
  /** What the first position is called. */
  firstPosition: number;
  layers: LayerResults[];
  interpolation?: InterpolationResult;
}

/** What `mixing.json` holds, as far as it is shown. */
export interface MixingResults {
  organism: string;
  position: number;
  alpha: number | null;
  rows: MixingRow[];
}

/** The agents' evaluation. */
export interface AgentResults {
  evaluation?: Evaluation;
  summariser?: SummariserResult;
  runs: AgentRun[];
}

/** Agents on several organisms: their grades, or what the summariser recalls. */
export interface EvaluatedOrganisms {
  grades?: EvaluatedGrades;
  summaries?: SummariserResult[];
}

/** A run. */
export interface RunResults {
  /** The folder's own name. */
  name: string;
  parts: PartFiles[];
  summary?: PipelineSummary;
  diff?: DiffResults;
  steering: { result: Steering; file: string }[];
  similarity: PositionSimilarity[];
  causal: { result: CausalResult; file: string }[];
  mixing?: MixingResults;
  agents: AgentResults;
  organisms?: EvaluatedOrganisms;
}

/**
 * Reads a run.
 *
 * @throws {ResultsError} if there is none, or a file is missing or was changed
 */
export async function readRun(path: string): Promise<RunResults> {
  const all = await openParts(path);
  // Runs within, as those of a mixing experiment, are reported in their own folders.
  const parts = all.filter(({ name, isRun }) => name === "" || !isRun);
  const [outer] = parts;
  const run: RunResults = {
    name: path.replace(/\/+$/, "").split("/").at(-1)!,
    parts: all,
    summary: await outer.jsonIfListed<PipelineSummary>("summary.json"),
    steering: [],
    similarity: [],
    causal: [],
    mixing: await outer.jsonIfListed<MixingResults>("mixing.json"),
    agents: { runs: [] },
    organisms: await organismsOf(outer),
  };
  const compared = await outer.jsonIfListed<{ positions: PositionSimilarity[] }>("similarity.json");
  run.similarity.push(...compared?.positions ?? []);
  for (const part of parts) {
    if (part.files.some((file) => /^readout_\d+\.json$/.test(file))) {
      run.diff ??= await diffOf(part);
    }
    for (const { file } of part.matching(/^steer_\d+_-?\d+\.json$/)) {
      run.steering.push({ result: await part.json<Steering>(file), file: within(part, file) });
    }
    for (const { file } of part.matching(/^causal_\d+_(?:base|zero)(?:_reverse)?\.json$/)) {
      run.causal.push({ result: await part.json<CausalResult>(file), file: within(part, file) });
    }
    await addAgents(part, run.agents);
  }
  run.steering.sort((a, b) => a.result.position - b.result.position);
  return run;
}

async function diffOf(part: PartFiles): Promise<DiffResults> {
  const bytes = await part.bytes("diff.safetensors");
  const file = await openSafetensors(memorySource("diff.safetensors", bytes));
  const layers = part.matching(/^readout_(\d+)\.json$/).map(({ parts }) => Number(parts[0]))
    .sort((a, b) => a - b);
  const means = await decodeMeans(bytes, layers);
  const siblings = part.files.includes("sibling.safetensors")
    ? await decodeMeans(await part.bytes("sibling.safetensors"), layers)
    : undefined;
  const topics = await part.jsonIfListed<({ layer: number } & TopicRelevance)[]>("relevance.json");
  const nameOf = (side: string) => (part.said(side) as { name?: string } | undefined)?.name ?? side;
  return {
    part,
    base: nameOf("base"),
    finetuned: nameOf("finetuned"),
    documents: means[0].documents,
    firstPosition: Number.parseInt(file.metadata.positions) || 0,
    layers: await Promise.all(layers.map(async (layer, i) => ({
      layer,
      means: means[i],
      sibling: siblings?.[i],
      readout: await part.json<LayerReadout>(`readout_${layer}.json`),
      topic: topics?.find((topic) => topic.layer === layer),
      graded: await gradedOf(part, layer),
      spectrum: await part.jsonIfListed<LayerSpectrum>(`spectrum_${layer}.json`),
      stability: await part.jsonIfListed<LayerStability>(`stability_${layer}.json`),
    }))),
    interpolation: await part.jsonIfListed<InterpolationResult>("interpolate.json"),
  };
}

async function gradedOf(part: PartFiles, layer: number): Promise<LayerResults["graded"]> {
  const step = `graded_relevance_${layer}`;
  const relevance = await part.jsonIfListed<GradedRelevance>(`${step}.json`);
  if (!relevance) return undefined;
  const { grader, model } = part.manifest.steps[step].settings as {
    grader?: string;
    model?: string;
  };
  const lists = await part.jsonIfListed<GradedList[]>(`graded_lists_${layer}.json`);
  return { relevance, lists, grader: model ?? grader ?? "unknown" };
}

async function addAgents(part: PartFiles, agents: AgentResults): Promise<void> {
  const read = async (file: string) => await part.jsonIfListed<unknown>(file);
  const evaluation = await read("evaluation.json");
  if (evaluation !== undefined) {
    agents.evaluation ??= checkedResult(evaluationSchema, evaluation, "evaluation.json");
  }
  const summariser = await read("summariser.json");
  if (summariser !== undefined) {
    agents.summariser ??= checkedResult(summariserResultSchema, summariser, "summariser.json");
  }
  for (const { file } of part.matching(/^run_[a-z]+_\d+_\d+\.json$/)) {
    agents.runs.push(checkedResult(agentRunSchema, await read(file), file));
  }
}

async function organismsOf(outer: PartFiles): Promise<EvaluatedOrganisms | undefined> {
  const [grades, summaries] = ["grades.json", "summaries.json"];
  // A folder that was evaluated without an LLM first has both: each is what it was.
  const graded = await outer.jsonIfListed<unknown>(grades);
  const recalled = await outer.jsonIfListed<unknown>(summaries);
  if (graded === undefined && recalled === undefined) return undefined;
  return {
    grades: graded === undefined ? undefined : checkedResult(evaluatedGradesSchema, graded, grades),
    summaries: recalled === undefined
      ? undefined
      : checkedResult(summariesSchema, recalled, summaries),
  };
}
