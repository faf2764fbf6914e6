/**
 * Text generation: prompts are run through a cache of keys and values, then one token a step.
 *
 * The loop stays on the device between readbacks: the sampler's tokens are the next pass's ids. What a sequence gets
 * depends on its prompt, its edits, the sampling and its stream alone: not on its neighbours, on how much fits at once, nor on
 * when tokens are read back.
 */

import { KvCache } from "../kv_cache.ts";
import type { Transformer } from "../transformer.ts";
import { groupPrompts, keysOf, planWaves } from "./plan.ts";
import { checkRequest, type GenerateRequest } from "./request.ts";
import { generationRoom } from "./room.ts";
import { type Finish, GrowingSequence } from "./sequence.ts";
import { Wave } from "./wave.ts";

/** What a sequence got. */
export interface Generated {
  /** The new tokens. */
  ids: number[];
  finish: Finish;
}

/**
 * Generates a continuation of each prompt.
 *
 * @throws {UsageError} for a request that cannot be met: a value out of its range, a prompt that is empty, has an
 * unknown token or is longer than the model's context, an edit at a position that counts from the end.
 * @throws {ModelError} when a model's logits are not numbers.
 * @throws {OutOfMemoryError} when the keys of one sequence do not fit.
 */
export async function generate(
  model: Transformer,
  request: GenerateRequest,
): Promise<Generated[]> {
  checkRequest(model.spec, request);
  const { prompts, maxNewTokens, edits = [], streams, signal } = request;
  signal?.throwIfAborted();
  const sequences = prompts.map((prompt, s) => {
    const limit = Math.min(maxNewTokens, model.spec.maxPositions - prompt.length);
    return new GrowingSequence(s, prompt, streams?.[s] ?? s, limit);
  });
  const open = sequences.filter(({ finish }) => !finish).map(({ index }) => index);
  const limits = sequences.map(({ limit }) => limit);
  const room = generationRoom(model, edits.length);
  const waves = planWaves(groupPrompts(prompts, edits, open), limits, room);
  const keys = Math.max(0, ...waves.map((wave) => keysOf(wave, limits)));
  const cache = new KvCache(model.gpu, model.spec, keys);
  try {
    for (const groups of waves) {
      signal?.throwIfAborted();
      cache.rewind(0);
      using wave = new Wave(model, { request, cache, groups, sequences, room });
      await wave.run();
    }
  } finally {
    cache.destroy();
  }
  return sequences.map(({ ids, finish }) => ({ ids, finish: finish! }));
}

export type { Finish, GenerateRequest };
export type { Sampling } from "../ops/sampling.ts";
