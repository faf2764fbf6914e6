/** The range of coherence of a model: it writes texts, unsteered, and its own losses on them are measured. */

import { GraderError, UsageError } from "../../engine/errors.ts";
import { generate } from "../../engine/generation/generate.ts";
import { tokenLosses } from "../../engine/token_loss.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { CoherenceRange, type MeasuredText } from "./coherence.ts";

/** Texts that are written, at most so many tokens of each. */
const SAMPLES = 32;
const TOKENS = 48;

/** Streams of their draws begin here, so that none of them is also a text that is judged. */
const FIRST_STREAM = 0x4000_0000;

/** How a model's own texts are drawn. */
export interface Calibration {
  /** Tokens of prompts as the model shall see them; the texts go through them in turn. */
  prompts: readonly (readonly number[])[];
  /** That of the texts that will be judged. */
  temperature: number;
  /** How many texts (default: 32). */
  samples?: number;
  /** The most tokens of each (default: 48). */
  tokens?: number;
  /** Tokens that end a text; the one that did is not part of it. */
  stopIds?: ReadonlySet<number>;
  seed: number;
  signal?: AbortSignal;
}

/** A text after its prompt, in tokens. */
export interface WrittenText {
  promptIds: readonly number[];
  /** Without one that ends it. */
  ids: readonly number[];
}

/**
 * The range of a model's own unsteered texts.
 *
 * @throws {UsageError} for a request that generation refuses, no prompts, or fewer than two samples
 * @throws {GraderError} if the model ends almost every text before its first word
 */
export async function calibrate(
  model: Transformer,
  calibration: Calibration,
): Promise<CoherenceRange> {
  const texts = await writeUnsteered(model, calibration);
  return rangeOf(await measureTexts(model, texts, calibration.signal));
}

/** A model's own texts. */
export async function writeUnsteered(
  model: Transformer,
  calibration: Calibration,
): Promise<WrittenText[]> {
  const { prompts, samples = SAMPLES, tokens = TOKENS, temperature, seed } = calibration;
  const { stopIds, signal } = calibration;
  if (prompts.length === 0) {
    throw new UsageError("Cannot measure how a model writes: there are no prompts");
  }
  if (!(Number.isSafeInteger(samples) && samples >= 2)) {
    throw new UsageError(`Cannot measure how a model writes on ${samples} texts: take 2 or more`);
  }
  const promptOf = (i: number) => prompts[i % prompts.length];
  const written = await generate(model, {
    prompts: Array.from({ length: samples }, (_, i) => promptOf(i)),
    maxNewTokens: tokens,
    sampling: { temperature, seed },
    stopIds,
    streams: Array.from({ length: samples }, (_, i) => FIRST_STREAM + i),
    signal,
  });
  return written.map(({ ids }, i) => ({ promptIds: promptOf(i), ids: withoutStop(ids, stopIds) }));
}

/** The losses of texts given their prompts, as far as both fit the model's context. */
export async function measureTexts(
  model: Transformer,
  texts: readonly WrittenText[],
  signal?: AbortSignal,
): Promise<MeasuredText[]> {
  const { maxPositions } = model.spec;
  const sequences = texts.map(({ promptIds, ids }) =>
    [...promptIds, ...ids].slice(0, maxPositions)
  );
  const present = sequences.filter(({ length }) => length > 0);
  const found = (await tokenLosses(model, present, { signal })).values();
  return texts.map(({ promptIds, ids }, i) => {
    const losses = sequences[i].length > 0 ? found.next().value! : new Float32Array();
    // The first token of all has none.
    return { ids, losses: losses.slice(Math.max(0, promptIds.length - 1)) };
  });
}

/**
 * The range of a model's measured texts.
 *
 * @throws {GraderError} if fewer than two of them have words
 */
export function rangeOf(texts: readonly MeasuredText[]): CoherenceRange {
  const usable = texts.filter(({ losses }) => losses.length > 0);
  if (usable.length >= 2) return CoherenceRange.of(usable);
  throw new GraderError(
    `Cannot tell what is coherent: of ${texts.length} texts that the model wrote unsteered, ` +
      `${usable.length} have any words; try other prompts, or a grader that is an LLM`,
  );
}

/** Tokens of a text without the one that ends it. */
export function withoutStop(
  ids: readonly number[],
  stopIds?: ReadonlySet<number>,
): readonly number[] {
  const last = ids.at(-1);
  return last !== undefined && stopIds?.has(last) ? ids.slice(0, -1) : ids;
}
