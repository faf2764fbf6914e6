/** The numbers of a comparison, from its means, its lists of tokens and what was said of them. */

import { openSafetensors } from "../../engine/weights/safetensors.ts";
import { memorySource } from "../../engine/weights/byte_source.ts";
import type { Means } from "../../engine/activation_means.ts";
import { typicalNorm } from "../diff.ts";
import { isGenericToken } from "../generic_tokens.ts";
import { OfflineGrader } from "../graders/offline.ts";
import type { Grader } from "../graders/grader.ts";
import { pointOnLine } from "../interpolation.ts";
import { decodeMeans } from "../means_file.ts";
import { vectorNorm } from "../patchscope.ts";
import { gradeScales, type LayerReadout, type PatchscopeReadout } from "../readout.ts";
import type { PartFiles } from "../report/run_files.ts";
import { within } from "../report/run_files.ts";
import type { DiffResults, LayerResults } from "../report/run_results.ts";
import { ENOUGH_COSINE, ENOUGH_OVERLAP } from "../stability.ts";
import { type GradedList, gradeLists, meanRelevance } from "../token_relevance.ts";
import { topicRelevance } from "../topic.ts";
import type { Derived, Problem } from "./problem.ts";
import { type GraderSettings, replayed } from "./replay.ts";

/** Everything of a comparison that can be derived again. */
export async function deriveDiff(diff: DiffResults): Promise<Derived[]> {
  const { part, layers, firstPosition } = diff;
  const derived: Derived[] = [];
  for (const layer of layers) {
    const { means, readout, stability } = layer;
    if (readout) derived.push(await readoutNumbers(part, readout, means, firstPosition));
    derived.push(...await relevanceNumbers(part, layer));
    if (stability) {
      derived.push({
        file: within(part, `stability_${stability.layer}.json`),
        stored: stability.positions.map(({ enough }) => enough),
        derived: stability.positions.map(({ sizes }) => ({
          cosine: sizes.find(({ cosine }) => cosine >= ENOUGH_COSINE)?.documents ?? null,
          tokens: sizes.find(({ overlap }) => overlap >= ENOUGH_OVERLAP)?.documents ?? null,
        })),
      });
    }
  }
  const topics = layers.filter(({ topic }) => topic);
  if (topics.length > 0) {
    derived.push({
      file: within(part, "relevance.json"),
      stored: topics.map(({ layer, topic }) => ({ ...topic, layer })),
      derived: topics.map(({ layer, topic, readout }) => ({
        layer,
        ...topicRelevance(readout!, topic!.keywords),
      })),
    });
  }
  if (diff.interpolation) derived.push(await interpolationNumbers(diff));
  return derived;
}

/**
 * Whether δ is the difference of the two means. All three were rounded to f32 once, from sums in double: so by the rounding of
 * the three at most.
 */
export function checkDelta(
  { part, layers }: DiffResults,
): { numbers: number; problems: Problem[] } {
  const problems: Problem[] = [];
  let numbers = 0;
  const check = (file: string, layer: number, { delta, base, finetuned }: Means) => {
    const u = 2 ** -24;
    numbers += delta.length;
    const wrong = delta.findIndex((value, i) => {
      const room = 1.01 * u * (Math.abs(base[i]) + Math.abs(finetuned[i]) + Math.abs(value));
      return !(Math.abs(value - (finetuned[i] - base[i])) <= room);
    });
    if (wrong >= 0) {
      const is = `${delta[wrong]}, the means differ by ${finetuned[wrong] - base[wrong]}`;
      problems.push({
        file: within(part, file),
        problem: `layer ${layer}: delta at ${wrong} is ${is}`,
      });
    }
  };
  for (const { layer, means, sibling } of layers) {
    check("diff.safetensors", layer, means);
    if (sibling) check("sibling.safetensors", layer, sibling);
  }
  return { numbers, problems };
}

async function readoutNumbers(
  part: PartFiles,
  readout: LayerReadout,
  means: Means,
  firstPosition: number,
): Promise<Derived> {
  const step = `readout_${readout.layer}`;
  const { settings } = part.manifest.steps[step] as { settings?: GraderSettings };
  const hidden = means.delta.length / means.finetunedNorm.length;
  const offline = settings === undefined || settings.grader === "offline";
  const graded = offline
    ? withBestScales(readout)
    : await gradeScales(readout, await replayed(part, settings));
  // Of a list's own numbers nothing is derived, and nothing is compared.
  const choices = ({ positions }: LayerReadout) =>
    positions.map(({ patchscope }) =>
      Object.fromEntries(
        Object.entries(patchscope).map(([name, { scale, tokens, coherent }]) => [
          name,
          { scale, tokens: tokens.map(({ id }) => id), coherent },
        ]),
      )
    );
  return {
    file: within(part, `${step}.json`),
    stored: {
      typical_norm: readout.typical_norm,
      norms: readout.positions.map(({ delta_norm, relative_norm }) => ({
        delta_norm,
        relative_norm,
      })),
      patchscope: choices(readout),
    },
    derived: {
      typical_norm: typicalNorm(means.finetunedNorm, firstPosition),
      norms: readout.positions.map(({ position }) => {
        const row = position - firstPosition;
        const norm = vectorNorm(means.delta.subarray(row * hidden, (row + 1) * hidden));
        return { delta_norm: norm, relative_norm: norm / means.finetunedNorm[row] };
      }),
      patchscope: choices(graded),
    },
  };
}

/** The offline grader's choice: the scale with the highest score, of equal ones the smallest. */
function withBestScales(readout: LayerReadout): LayerReadout {
  const chosen = (scope: PatchscopeReadout) => {
    const scored = scope.scales.filter(({ score }) => score !== null)
      .toSorted((a, b) => b.score! - a.score! || a.scale - b.scale);
    const scale = scored[0]?.scale ?? null;
    const { tokens } = scope.scales.find((list) => list.scale === (scale ?? 1))!;
    return { ...scope, scale, tokens };
  };
  return {
    ...readout,
    positions: readout.positions.map((at) => ({
      ...at,
      patchscope: Object.fromEntries(
        Object.entries(at.patchscope).map(([name, scope]) => [name, chosen(scope)]),
      ),
    })),
  };
}

/** What a grading was made with, as the manifest has it. */
interface Settings extends GraderSettings {
  description: string;
  keywords: string[];
  frequent: string[];
  seed: number;
}

async function relevanceNumbers(
  part: PartFiles,
  { layer, readout, graded }: LayerResults,
): Promise<Derived[]> {
  if (!graded?.lists || !readout) return [];
  const step = `graded_relevance_${layer}`;
  const settings = part.manifest.steps[step].settings as unknown as Settings;
  const { frequent, description, keywords, seed } = settings;
  const lists = await gradeLists(readout, {
    grader: await graderOf(part, settings),
    topic: { description, keywords },
    frequent,
    seed,
    isGeneric: (token) => isGenericToken(token),
  });
  return [
    {
      file: within(part, `${step}.json`),
      stored: graded.relevance,
      derived: meanRelevance(readout, graded.lists, frequent),
    },
    {
      file: within(part, `graded_lists_${layer}.json`),
      stored: graded.lists,
      derived: lists.map((list, i) => ({ ...list, generic: specialToo(list, graded.lists![i]) })),
    },
  ];
}

/** Special tokens are generic whatever their text is; which are, only the tokenizer knows. */
function specialToo({ generic }: GradedList, stored: GradedList | undefined): boolean[] {
  return generic.map((is, i) => is || stored?.generic[i] === true);
}

/** Who graded: the rules again, or the answers that an LLM gave then. */
async function graderOf(part: PartFiles, settings: Settings): Promise<Grader> {
  if (settings.grader !== "offline") return await replayed(part, settings);
  const nothing = () => Promise.reject(new Error("no model is needed for relevance"));
  const tokenizer = { vocabSize: 0, specialIds: new Set<number>(), tokenText: () => "" } as never;
  const models = { base: nothing, finetuned: nothing };
  return new OfflineGrader({ models, tokenizer, seed: settings.seed });
}

async function interpolationNumbers(
  { part, interpolation, layers, firstPosition }: DiffResults,
): Promise<Derived> {
  const { layers: lines } = interpolation!;
  const indices = lines.map(({ layer }) => layer);
  const strengths = lines[0].positions[0].points.map(({ strength }) => strength);
  const deltas = new Map<number, { means: Means[]; first: number }>();
  for (const strength of strengths) {
    const file = `interpolate_${strength}.safetensors`;
    if (part.files.includes(file)) {
      const bytes = await part.bytes(file);
      const { metadata } = await openSafetensors(memorySource(file, bytes));
      const first = Number.parseInt(metadata.positions) || 0;
      deltas.set(strength, { means: await decodeMeans(bytes, indices), first });
    } else deltas.set(strength, { means: layers.map(({ means }) => means), first: firstPosition });
  }
  const at = (strength: number, l: number, position: number) => {
    const { means, first } = deltas.get(strength)!;
    const hidden = means[l].delta.length / means[l].finetunedNorm.length;
    const row = position - first;
    return means[l].delta.subarray(row * hidden, (row + 1) * hidden);
  };
  const numbers = <T>(
    of: (l: number, position: number, point: typeof lines[0]["positions"][0]["points"][0]) => T,
  ) =>
    lines.map(({ positions }, l) =>
      positions.map(({ position, points }) => points.map((point) => of(l, position, point)))
    );
  return {
    file: within(part, "interpolate.json"),
    stored: numbers((_l, _p, { top: _, ...point }) => point),
    derived: numbers((l, position, { strength }) =>
      pointOnLine(strength, at(strength, l, position), at(1, l, position))
    ),
  };
}
