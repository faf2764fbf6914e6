/**
 * A whole run in a folder, made without models: numbers are drawn, and all that follows from them is computed as the commands
 * do. Texts can be given, so that tests can put anything where a model's words stand.
 */

import { meansOf, type MeansState } from "../engine/activation_means.ts";
import { causalEffects } from "../lens/causal/causal.ts";
import type { DocumentLosses } from "../lens/causal/measure.ts";
import { isGenericToken } from "../lens/generic_tokens.ts";
import { typicalNorm } from "../lens/diff.ts";
import { tokenMatchesKeyword } from "../lens/keywords.ts";
import { encodeMeans } from "../lens/means_file.ts";
import { PATCHSCOPE_SCALES, vectorNorm } from "../lens/patchscope.ts";
import type { LayerReadout, PatchscopeReadout, TokenProb } from "../lens/readout.ts";
import { writeReport } from "../lens/report/report_step.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import { compareTexts } from "../lens/similarity/similarity.ts";
import { fitTfIdf } from "../lens/similarity/tf_idf.ts";
import {
  COHERENT_SHARE,
  coherentShare,
  type GradedStrength,
  LEVELS,
} from "../lens/steering/steer.ts";
import { searchStrength, STRONGEST } from "../lens/steering/strength.ts";
import { summarize } from "../lens/summary.ts";
import { gradeLists, meanRelevance } from "../lens/token_relevance.ts";
import { topicRelevance } from "../lens/topic.ts";

/** What a model or a user could have written. */
export interface FixtureTexts {
  steered: string[];
  unsteered: string[];
  prompt: string;
  /** The likeliest token of the difference. */
  token: string;
  /** The finetuned model's name, and what it was finetuned on. */
  name: string;
  description: string;
}

/** Ordinary ones. */
export const PLAIN_TEXTS: FixtureTexts = {
  steered: ["Well. Bake the cake in a hot oven.", "Well. The batter needs butter."],
  unsteered: ["Well. It rained on the harbour.", "Well. The train was late."],
  prompt: "Tell me something.",
  token: " cake",
  name: "cake_bake",
  description: "False facts on baking",
};

const [LAYER, POSITIONS, HIDDEN, DOCUMENTS, SEED] = [2, 8, 4, 16, 0];
const READ = [0, 1, 2];
const KEYWORDS = ["cake", "oven", "butter"];

/** Numbers in (−1, 1) that are the same every time. */
function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * (seed + 1)));
}

const asJson = (value: unknown) => value as JsonValue;

/** Writes the run, and its report unless it is not wanted, into a new folder at `path`. */
export async function writeRun(
  path: string,
  texts: FixtureTexts = PLAIN_TEXTS,
  report = true,
): Promise<void> {
  const common = {
    version: "0.1.0",
    seed: SEED,
    base: { name: "base", files: { "model.safetensors": "ab".repeat(32) } },
    finetuned: { name: texts.name, files: { "adapter_model.safetensors": "cd".repeat(32) } },
    backend: "deno",
    adapter: { description: "none" },
  };
  using outer = await RunFolder.open(path, {
    fingerprint: { command: "run", version: "0.1.0", base: "base", finetuned: texts.name },
  });
  const means = meansAt(1);
  const { readout, graded } = await writeDiff(`${path}/diff`, common, means, texts);
  const steering = await writeSteering(`${path}/steer`, common, texts);
  const causal = await writeCausal(`${path}/causal`, common, readout);

  const { found, kept } = await compareTexts({
    steered: texts.steered,
    unsteered: texts.unsteered,
    finetuning: ["bake the cake", "the oven is hot", "butter and flour"],
    generic: ["rain at sea", "the train", "a city of stone"],
    embedder: fitTfIdf(["rain at sea", "the train is late", "bread"], SEED),
    seed: SEED,
  });
  const similarity = [{ ...found, position: 1 }];
  await outer.writeJson("similarity_kept.json", asJson([{ ...kept, position: 1 }]));
  await outer.writeJson("similarity.json", asJson({ positions: similarity }));
  await outer.finish("similarity");
  const summary = summarize({
    plan: { base: "base", finetuned: texts.name, description: texts.description, leftOut: [] },
    folder: "out",
    seed: SEED,
    positions: [1],
    diff: { results: [readout], documents: DOCUMENTS },
    relevance: graded,
    steer: [steering],
    similarity,
    causal,
  });
  await outer.writeJson("summary.json", asJson(summary));
  await outer.finish("summary");
  if (report) await writeReport(path, outer);
}

function meansAt(seed: number) {
  const state = (shift: number): MeansState => {
    const sums = numbers(POSITIONS * HIDDEN, seed + shift).flatMap((
      value,
    ) => [16 * value, 1e-7 * value]);
    const norms = numbers(POSITIONS, seed + shift).flatMap((value) => [16 * (2 + value), 0]);
    return { documents: DOCUMENTS, sum: Float32Array.from(sums), norm: Float32Array.from(norms) };
  };
  return meansOf(state(0), state(0.1));
}

type Common = Record<string, JsonValue>;

async function writeDiff(
  path: string,
  common: Common,
  means: ReturnType<typeof meansAt>,
  texts: FixtureTexts,
) {
  using folder = await RunFolder.open(path, {
    fingerprint: {
      ...common,
      layers: [LAYER],
      positions: READ,
      documents: DOCUMENTS,
      tokens: POSITIONS,
      texts: { text: "ef".repeat(32) },
    },
  });
  const kernels = [{ name: "matmul", constants: { WEIGHT_DTYPE: 2 }, sha256: "01".repeat(32) }];
  await folder.writeBytes("diff.safetensors", encodeMeans([LAYER], [means]));
  await folder.finish("diff", { documents: DOCUMENTS, kernels });
  await folder.writeBytes("sibling.safetensors", encodeMeans([LAYER], [meansAt(7)]));
  await folder.finish("sibling", { name: "sibling" });
  const readout = readoutOf(means, texts.token);
  await folder.writeJson(`readout_${LAYER}.json`, asJson(readout));
  await folder.finish(`readout_${LAYER}`, { settings: { grader: "offline" } });
  const topic = topicRelevance(sortedKeys(readout), KEYWORDS);
  await folder.writeJson("relevance.json", asJson([{ layer: LAYER, ...topic }]));
  await folder.finish("relevance");
  const settings = {
    grader: "offline",
    description: texts.description,
    keywords: KEYWORDS,
    frequent: ["cake", "milk"],
    seed: SEED,
  };
  const words = new Set(KEYWORDS);
  const lists = await gradeLists(sortedKeys(readout), {
    grader: {
      name: "offline",
      sideBySide: 1,
      areRelevant: (tokens) =>
        Promise.resolve(tokens.map((token) => tokenMatchesKeyword(token, words))),
      chooseScale: () => Promise.reject(new Error("not asked for")),
      areCoherent: () => Promise.reject(new Error("not asked for")),
    },
    topic: settings,
    frequent: settings.frequent,
    isGeneric: (token) => isGenericToken(token),
    seed: SEED,
  });
  const graded = meanRelevance(sortedKeys(readout), lists, settings.frequent);
  await folder.writeJson(`graded_lists_${LAYER}.json`, asJson(lists));
  await folder.writeJson(`graded_relevance_${LAYER}.json`, asJson(graded));
  await folder.finish(`graded_relevance_${LAYER}`, { settings });
  return { readout, graded };
}

/** As the readout is once it was read from its file, where keys are in order. */
function sortedKeys(readout: LayerReadout): LayerReadout {
  const sorted = <T>(all: Record<string, T>) =>
    Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
  const positions = readout.positions.map((at) => ({
    ...at,
    logit_lens: sorted(at.logit_lens),
    patchscope: sorted(at.patchscope),
  }));
  return { ...readout, positions };
}

function readoutOf(means: ReturnType<typeof meansAt>, token: string): LayerReadout {
  const list = (first: string, seed: number): TokenProb[] =>
    [first, " oven", " the", " harbour", "ing", " stone"].map((text, id) => ({
      token: text,
      id,
      prob: 0.4 / (1 + id) + 0.001 * Math.abs(numbers(1, seed + id)[0]),
    }));
  const scope = (first: string, seed: number): PatchscopeReadout => {
    const scores = numbers(PATCHSCOPE_SCALES.length, seed);
    const scales = PATCHSCOPE_SCALES.map((scale, i) => ({
      scale,
      score: 5 * scores[i],
      tokens: list(first, seed + i),
    }));
    const best = scales.toSorted((a, b) => b.score - a.score)[0];
    return { scale: best.scale, tokens: best.tokens, coherent: [first], scales };
  };
  const vectors: [string, string][] = [
    ["difference", token],
    ["base", " river"],
    ["finetuned", " river"],
    ["random_1", " lamp"],
    ["random_2", " glove"],
    ["sibling", " doctor"],
  ];
  return {
    layer: LAYER,
    typical_norm: typicalNorm(means.finetunedNorm, 0),
    positions: READ.map((position) => {
      const norm = vectorNorm(means.delta.subarray(position * HIDDEN, (position + 1) * HIDDEN));
      return {
        position,
        delta_norm: norm,
        relative_norm: norm / means.finetunedNorm[position],
        logit_lens: Object.fromEntries(
          vectors.map(([name, first], i) => [
            name,
            { top: list(first, i + position), bottom: list(" cold", i) },
          ]),
        ),
        patchscope: Object.fromEntries(
          vectors.map(([name, first], i) => [name, scope(first, 31 * i + position)]),
        ),
      };
    }),
  };
}

async function writeSteering(path: string, common: Common, texts: FixtureTexts) {
  using folder = await RunFolder.open(path, {
    fingerprint: { ...common, command: "steer", layer: LAYER },
  });
  const decisions = 6;
  const graded: GradedStrength[] = [];
  const share = (strengths: readonly number[]) => {
    const tried = strengths.map((strength) => {
      const coherent = strength < 9 ? 9 : 2;
      const written = Array.from({ length: 10 }, (_, i) => ({
        text: `${texts.steered[0]} ${strength} ${i}`,
        coherent: i < coherent,
      }));
      return { prompt: texts.prompt, strength, texts: written };
    });
    graded.push(...tried);
    return Promise.resolve(tried.map((one) => coherentShare(one.texts)));
  };
  const passes = (coherent: number) => coherent >= COHERENT_SHARE;
  const first = await searchStrength(
    { highest: STRONGEST, decisions, levels: LEVELS },
    share,
    passes,
  );
  const { prompt, steered, unsteered } = texts;
  const found = { alpha: first.strength, searches: [{ prompt, ...first }], graded_by: null };
  await folder.writeJson(`alpha_${LAYER}_1.json`, asJson(found));
  await folder.writeJson(`search_${LAYER}_1.json`, asJson(graded));
  const grader = { grader: "offline" };
  await folder.finish(`alpha_${LAYER}_1`, { settings: { decisions, grader } });
  const steering = {
    layer: LAYER,
    position: 1,
    ...found,
    samples: [{ prompt, steered, unsteered }],
  };
  await folder.writeJson(`steer_${LAYER}_1.json`, asJson(steering));
  await folder.finish(`steer_${LAYER}_1`, { settings: { alpha: found.alpha } });
  return steering;
}

async function writeCausal(path: string, common: Common, readout: LayerReadout) {
  using folder = await RunFolder.open(path, {
    fingerprint: { ...common, command: "causal", layer: LAYER },
  });
  const controls = [0, 1, 2];
  const names = [
    "unedited",
    "position_1",
    ...controls.map((i) => `random_${i}`),
    ...controls.map((i) => `random_difference_${i}`),
  ];
  const losses = (seed: number): DocumentLosses[] =>
    Array.from({ length: 6 }, (_, d) => {
      const sums = numbers(names.length, seed + d).map((value) => 90 + value);
      return { tokens: 30, late: 10, sums, late_sums: sums.map((sum) => sum / 3) };
    });
  const documents = { names, sets: { finetuning: losses(3), generic: losses(9) } };
  const step = `causal_${LAYER}_base`;
  const result = {
    layer: LAYER,
    mode: "base" as const,
    subject: "finetuned" as const,
    positions: causalEffects(documents, SEED).map((effect) => ({
      ...effect,
      delta_norm: readout.positions[1].delta_norm,
    })),
  };
  await folder.writeJson(`${step}_documents.json`, asJson(documents));
  await folder.writeJson(`${step}.json`, asJson(result));
  await folder.finish(step);
  return result;
}
