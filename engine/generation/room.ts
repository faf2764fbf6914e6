/** How much of a request fits on the device at once. */

import type { Gpu } from "../gpu/gpu.ts";
import { type ModelSpec, projectedWidth } from "../model_spec.ts";
import { MAX_SAMPLING_ROWS } from "../ops/sampling.ts";
import type { Transformer } from "../transformer.ts";
import { MOST_STEPS } from "./pace.ts";

/** Steps of a round on a GPU. */
const USUAL_STEPS = 16;

/** From so many sequences on rounds are half as long: their steps take longer, and more of them end in a round. */
const MANY = 8;

/**
 * Steps between two readbacks, for so many sequences, unless a device does far more in a moment: see `Pace`. While one round's
 * tokens come back the next is under way, so that a sequence that ends is found out one and a half rounds late in the mean; but on
 * some backends a readback takes 10 ms, and with shorter rounds the device would wait for it.
 */
export function usualSteps({ profile }: Pick<Gpu, "profile">, sequences: number): number {
  return USUAL_STEPS / (profile === "software" ? 2 : 1) / (sequences < MANY ? 1 : 2);
}

/** Prompt tokens a pass: enough to keep any adapter busy. */
const PASS_TOKENS = 2048;

/** The most memory for keys and values, where the budget allows as much. */
const CACHE_BYTES = 4 * 2 ** 30;

/** The most memory for one set of logits. */
const LOGIT_BYTES = 256 * 2 ** 20;

/** What there is room for. */
export interface Room {
  /** Tokens whose keys and values are kept at once. */
  keys: number;
  /** Sequences that run at once. */
  sequences: number;
  /** Prompt tokens a pass. */
  passTokens: number;
  /** What a pass or a round of steps takes besides keys and values, roughly, in bytes. */
  workBytes: number;
}

/**
 * What fits under the adapter's limits on buffers and under the memory budget. Half of what is left of the budget goes to
 * the work of a pass at the most, the rest to keys and values.
 *
 * @param edits how many edits there are
 */
export function generationRoom({ gpu, spec }: Transformer, edits: number): Room {
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits;
  const bound = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  gpu.buffers.trim();
  const left = gpu.buffers.remainingBytes;
  const fitting = (bytes: number, each: number, most: number) =>
    Math.max(1, Math.min(most, Math.floor(bytes / each)));

  let passTokens = fitting(bound, 4 * widestActivation(spec), PASS_TOKENS);
  let sequences = fitting(Math.min(bound, LOGIT_BYTES), 4 * spec.vocabSize, MAX_SAMPLING_ROWS);
  const small = smallBuffers(edits) * 256;
  const large = () => activationBytes(spec, passTokens, sequences);
  while (large() > (left - small) / 2 && passTokens * sequences > 1) {
    if (passTokens > sequences) passTokens = Math.ceil(passTokens / 2);
    else sequences = Math.ceil(sequences / 2);
  }
  const workBytes = small + large();
  const row = 4 * spec.kvHeads * spec.headDim; // of the keys, or the values, of a layer
  // Textures may take an eighth of what keys and values leave.
  const cache = Math.max(0, Math.min(CACHE_BYTES, left - 8 / 7 * workBytes));
  const keys = Math.min(Math.floor(bound / row), Math.floor(cache / (2 * spec.layers * row)));
  return { keys, sequences, passTokens, workBytes };
}

/** Values a token has in the widest activation of a block. */
function widestActivation({ hiddenSize, intermediateSize, heads, headDim }: ModelSpec): number {
  return Math.max(hiddenSize, intermediateSize, heads * headDim);
}

/** About what a pass holds at once, with an eighth for the pools' rounding: activations, logits and three copies of them. */
function activationBytes(spec: ModelSpec, tokens: number, sequences: number): number {
  const { hiddenSize, intermediateSize, vocabSize } = spec;
  const token = 6 * hiddenSize + 3 * intermediateSize + 3 * projectedWidth(spec);
  return 4.5 * (Math.max(tokens, sequences) * token + 4 * sequences * vocabSize);
}

/** About how many small buffers a round has: what each step uploads, and a step's short-lived ones. */
function smallBuffers(edits: number): number {
  return MOST_STEPS * (6 + 2 * edits) + 32;
}
