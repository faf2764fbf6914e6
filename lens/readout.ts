/**
 * The second step of the method: what the vectors of one layer say, through the logit lens and through Patchscope
 * (METHOD 2), always beside vectors in which there is nothing to find.
 */

import type { Means } from "../engine/activation_means.ts";
import type { Ranked } from "../engine/ops/ranking.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import type { ModelPair } from "../models/model_shelf.ts";
import { typicalNorm } from "./diff.ts";
import type { Grader } from "./graders/grader.ts";
import { sideBySide } from "./graders/llm/slots.ts";
import { logitLens } from "./logit_lens.ts";
import { RANDOM_DIRECTIONS, randomDirection } from "./nulls.ts";
import {
  patchscope,
  PATCHSCOPE_PROMPTS,
  PATCHSCOPE_SCALES,
  type ScaleTokens,
  vectorNorm,
} from "./patchscope.ts";

/** A token of a list and its probability. */
export interface TokenProb {
  token: string;
  id: number;
  prob: number;
}

/** What Patchscope read in one vector. */
export interface PatchscopeReadout {
  /** The scale that the grader chose; null when no list was coherent enough to judge. */
  scale: number | null;
  /** The tokens at that scale; at scale 1 when none was chosen. */
  tokens: TokenProb[];
  /** Those that belong together. */
  coherent: string[];
  /** Every scale, its list and the grader's score. */
  scales: { scale: number; score: number | null; tokens: TokenProb[] }[];
  /** The same for −v, where it was asked for; not graded. */
  negative?: { scale: number; tokens: TokenProb[] }[];
}

/** What the logit lens read in one vector: the likeliest tokens of v and of −v. */
export interface LogitLensReadout {
  top: TokenProb[];
  bottom: TokenProb[];
}

/** One position, every vector by its name: `difference`, `base`, `finetuned`, `random_1` …, `sibling`. */
export interface PositionReadout {
  /** Counted from the document's first token; in a chat from the answer's, so that the prompt's last is −1. */
  position: number;
  /** ‖δ‖. */
  delta_norm: number;
  /** ‖δ‖ over the mean norm of the finetuned model's activations at this position. */
  relative_norm: number;
  logit_lens: Record<string, LogitLensReadout>;
  patchscope: Record<string, PatchscopeReadout>;
}

/** One layer. */
export interface LayerReadout {
  layer: number;
  /** The mean norm to which Patchscope rescales. */
  typical_norm: number;
  positions: PositionReadout[];
}

/** What {@link readLayer} needs. */
export interface ReadoutOptions {
  models: ModelPair;
  tokenizer: Tokenizer;
  layer: number;
  means: Means;
  /** What the first position of the means is called (default: 0). */
  firstPosition?: number;
  /** The positions to read, by their names. */
  positions: readonly number[];
  /** Whose final norm and unembedding the logit lens uses (default: the finetuned model's). */
  readThrough?: "base" | "finetuned";
  /** δ of another finetune at every position `[positions, hidden]`, as a null. */
  sibling?: Float32Array;
  seed: number;
  progress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

interface Entry {
  position: number;
  name: string;
  vector: Float32Array<ArrayBuffer>;
  /** Patchscope runs the base's own mean in the base, all else in the finetuned model. */
  inBase: boolean;
  /** Whether −v is read by Patchscope too. */
  bothSigns: boolean;
}

/** Reads every vector of one layer at the listed positions; no scale is chosen yet. */
export async function readLayer(options: ReadoutOptions): Promise<LayerReadout> {
  const { models, tokenizer, layer, means, positions, firstPosition = 0 } = options;
  const { readThrough = "finetuned" } = options;
  const hidden = models.spec.hiddenSize;
  const entries = positions.flatMap((position) => entriesAt(position, options));
  // A vector of length 0 (identical models) has no direction and is not read.
  const readable = entries.filter(({ vector }) => vectorNorm(vector) > 0);
  const lens = await logitLens(
    await models[readThrough](),
    readable.map(({ vector }) => vector),
  );
  const scopes = await patchscopeAll(readable, options);
  const listed = scopes.map((lists) => ungraded(lists, tokenizer));
  const named = (ranked: Ranked[]) => namedTokens(ranked, tokenizer);
  return {
    layer,
    typical_norm: typicalNorm(means.finetunedNorm, firstPosition),
    positions: positions.map((position) => {
      const row = position - firstPosition;
      const length = vectorNorm(means.delta.subarray(row * hidden, (row + 1) * hidden));
      const here = readable.map((entry, i) => ({ entry, i })).filter(({ entry }) =>
        entry.position === position
      );
      return {
        position,
        delta_norm: length,
        relative_norm: length / means.finetunedNorm[row],
        logit_lens: Object.fromEntries(here.map(({ entry, i }) => [
          entry.name,
          { top: named(lens[i].top), bottom: named(lens[i].bottom) },
        ])),
        patchscope: Object.fromEntries(here.map(({ entry, i }) => [entry.name, listed[i]])),
      };
    }),
  };
}

/**
 * Lets a grader choose the scale of each vector's lists. What was chosen before does not matter.
 *
 * @param progress takes the number of vectors done and of all
 */
export async function gradeScales(
  readout: LayerReadout,
  grader: Pick<Grader, "chooseScale" | "sideBySide">,
  progress?: (done: number, total: number) => void,
): Promise<LayerReadout> {
  const scopes = readout.positions.flatMap(({ patchscope }) => Object.values(patchscope));
  let done = 0;
  progress?.(0, scopes.length);
  const graded = await sideBySide(scopes, grader.sideBySide, async (scope) => {
    const { scale, coherent, scores } = await grader.chooseScale(
      scope.scales.map(({ scale, tokens }) => ({
        scale,
        tokens: tokens.map(({ token }) => token),
        ids: tokens.map(({ id }) => id),
      })),
    );
    progress?.(++done, scopes.length);
    const scales = scope.scales.map((list, i) => ({ ...list, score: scores?.[i] ?? null }));
    return { ...scope, scale, tokens: listAt(scales, scale), coherent, scales };
  });
  const next = graded.values();
  return {
    ...readout,
    positions: readout.positions.map((at) => ({
      ...at,
      patchscope: Object.fromEntries(
        Object.keys(at.patchscope).map((name) => [name, next.next().value!]),
      ),
    })),
  };
}

/** The list of the scale that was chosen; of scale 1 where none was. */
function listAt(scales: PatchscopeReadout["scales"], scale: number | null): TokenProb[] {
  return scales.find((list) => list.scale === (scale ?? 1))!.tokens;
}

function entriesAt(
  position: number,
  { models, means, firstPosition = 0, sibling, seed }: ReadoutOptions,
): Entry[] {
  const hidden = models.spec.hiddenSize;
  const row = position - firstPosition;
  const at = (all: Float32Array) =>
    new Float32Array(all.subarray(row * hidden, (row + 1) * hidden));
  const entry = (name: string, vector: Float32Array<ArrayBuffer>, bothSigns: boolean): Entry => ({
    position,
    name,
    vector,
    inBase: name === "base",
    bothSigns,
  });
  const delta = at(means.delta);
  const length = vectorNorm(delta);
  const entries = [
    entry("difference", delta, true),
    entry("base", at(means.base), true),
    entry("finetuned", at(means.finetuned), true),
  ];
  for (let i = 1; i <= RANDOM_DIRECTIONS && length > 0; i++) {
    const draw = randomDirection(hidden, length, seed, position * RANDOM_DIRECTIONS + i);
    entries.push(entry(`random_${i}`, draw, false));
  }
  if (sibling) entries.push(entry("sibling", at(sibling), false));
  return entries;
}

/** Patchscope of every entry, in their order; those of one model run together. */
async function patchscopeAll(
  entries: readonly Entry[],
  { models, tokenizer, layer, means, firstPosition, progress, signal }: ReadoutOptions,
): Promise<ScaleTokens[][]> {
  const norm = typicalNorm(means.finetunedNorm, firstPosition);
  const prompts = PATCHSCOPE_PROMPTS.map((prompt) => tokenizer.encode(prompt, { special: true }));
  const both = [...PATCHSCOPE_SCALES, ...PATCHSCOPE_SCALES.map((scale) => -scale)];
  const scalesOf = ({ bothSigns }: Entry) => bothSigns ? both : PATCHSCOPE_SCALES;
  const readings = (some: readonly Entry[]) =>
    some.reduce((sum, entry) => sum + scalesOf(entry).length, 0);
  const results = new Map<Entry, ScaleTokens[]>();
  const total = readings(entries);
  progress?.(0, total);
  let done = 0;
  // The finetuned model last: it is the one that is wanted next, should only one be on the device.
  for (const inBase of [true, false]) {
    const chosen = entries.filter((entry) => entry.inBase === inBase);
    if (chosen.length === 0) continue;
    const read = await patchscope(
      await (inBase ? models.base() : models.finetuned()),
      chosen.map(({ vector }) => vector),
      {
        ...{ layer, prompts, norm, signal },
        scales: (v) => scalesOf(chosen[v]),
        progress: (rows) => progress?.(done + rows, total),
      },
    );
    chosen.forEach((entry, place) => results.set(entry, read[place]));
    done += readings(chosen);
  }
  return entries.map((entry) => results.get(entry)!);
}

/** One vector's lists, before a grader has seen them. */
function ungraded(all: readonly ScaleTokens[], tokenizer: Tokenizer): PatchscopeReadout {
  const named = all.map(({ scale, tokens }) => ({ scale, tokens: namedTokens(tokens, tokenizer) }));
  const negative = named.filter(({ scale }) => scale < 0);
  const scales = named.filter(({ scale }) => scale > 0).map((list) => ({ ...list, score: null }));
  return {
    scale: null,
    tokens: listAt(scales, null),
    coherent: [],
    scales,
    ...(negative.length > 0 && { negative }),
  };
}

/** Tokens as they are listed. Ids beyond the tokenizer's vocabulary are padding rows of the embedding: they have no text. */
export function namedTokens(ranked: readonly Ranked[], tokenizer: Tokenizer): TokenProb[] {
  return ranked.map(({ id, value }) => ({
    token: id < tokenizer.vocabSize ? tokenizer.tokenText(id) : `[${id}]`,
    id,
    prob: value,
  }));
}
