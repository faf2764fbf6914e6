/** The step of a run that compares models between the base and the finetuned one. */

import type { Means } from "../engine/activation_means.ts";
import { type DiffRun, type Interpolation, meansStep } from "./diff_run.ts";
import { cutAfter } from "./document_sample.ts";
import type { Selection } from "./documents.ts";
import { type InterpolationPoint, pointOnLine } from "./interpolation.ts";
import { likeliestTokens } from "./logit_lens.ts";
import { namedTokens } from "./readout.ts";
import type { JsonValue } from "./results/stable_json.ts";

/** Documents on which every δ of the line is taken; the first of all. */
const INTERPOLATION_DOCUMENTS = 256;

/** Tokens kept of each list. */
const TOP = 20;

/** `interpolate.json`. */
export interface InterpolationResult {
  /** Documents that each δ is the mean of, that of the finetuned model among them. */
  documents: number;
  layers: {
    layer: number;
    /** By rising strength; the finetuned model itself, 1, is always the last or among them. */
    positions: { position: number; points: InterpolationPoint[] }[];
  }[];
}

/**
 * Compares what is not yet compared. Each model's δ is a step of its own, with a file beside `diff.safetensors`.
 *
 * @param means of the finetuned model, over all documents
 */
export async function interpolationSteps(
  run: DiffRun,
  means: readonly Means[],
): Promise<InterpolationResult | undefined> {
  const { folder, interpolation } = run;
  if (!interpolation) return undefined;
  const strengths = [...new Set([...interpolation.strengths, 1])].sort((a, b) => a - b);
  const same = folder.step("interpolate")?.strengths?.toString() === strengths.toString();
  if (!same || !await folder.has("interpolate")) {
    const selection = firstDocuments(run);
    const deltas: (readonly Means[])[] = [];
    for (const strength of strengths) {
      const whole = strength === 1 && selection.tokens.length === run.selection.tokens.length;
      deltas.push(whole ? means : await strengthStep(run, interpolation, strength, selection));
    }
    const result = await resultOf(run, strengths, deltas, selection.tokens.length);
    await folder.writeJson("interpolate.json", result as unknown as JsonValue);
    await folder.finish("interpolate", { strengths, ...await run.provenance() });
  }
  return await folder.readJson("interpolate.json") as unknown as InterpolationResult;
}

/** Some documents, as far as they are read. */
function firstDocuments({ selection, positions }: DiffRun): Selection {
  const tokens = selection.tokens.slice(0, INTERPOLATION_DOCUMENTS);
  return cutAfter({ ...selection, tokens }, positions.at(-1)!);
}

async function strengthStep(
  run: DiffRun,
  interpolation: Interpolation,
  strength: number,
  selection: Selection,
): Promise<Means[]> {
  let release: (() => void) | undefined;
  const models = async () => {
    if (strength === 1) return run.models;
    const between = await interpolation.at(strength);
    release = between.release;
    return between.models;
  };
  const label = `Comparing at strength ${strength}`;
  try {
    return await meansStep(
      run,
      { step: `interpolate_${strength}`, label, models, selection },
      (means) => Promise.resolve({ strength, documents: means[0].documents }),
    );
  } finally {
    release?.();
  }
}

async function resultOf(
  run: DiffRun,
  strengths: readonly number[],
  deltas: readonly (readonly Means[])[],
  documents: number,
): Promise<InterpolationResult> {
  const { models, readThrough, tokenizer, positions, selection } = run;
  const hidden = models.spec.hiddenSize;
  const model = await models[readThrough]();
  const layers: InterpolationResult["layers"] = [];
  for (const [l, layer] of run.layers.entries()) {
    const at = (s: number, position: number) => {
      const row = position - selection.firstPosition;
      return deltas[s][l].delta.subarray(row * hidden, (row + 1) * hidden);
    };
    const whole = strengths.indexOf(1);
    const vectors = positions.flatMap((position) => strengths.map((_, s) => at(s, position)));
    const lists = await likeliestTokens(model, vectors, TOP);
    layers.push({
      layer,
      positions: positions.map((position, p) => ({
        position,
        points: strengths.map((strength, s) => ({
          ...pointOnLine(strength, at(s, position), at(whole, position)),
          top: namedTokens(lists[p * strengths.length + s], tokenizer),
        })),
      })),
    });
  }
  return { documents, layers };
}
