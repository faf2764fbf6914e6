/**
 * Text generation: prompts are run through a cache of keys and values, then one token a step.
 *
 * The loop stays on the device between readbacks: the sampler's tokens are the next pass's ids. What a sequence gets
 * depends on its prompt, its edits, the sampling and its stream alone: not on its neighbours, on how much fits at once, nor on
 * when tokens are read back.
 */

import type { Transformer } from "../transformer.ts";
import type { Generated } from "./job.ts";
import { groupPrompts, keysOf } from "./plan.ts";
import { checkRequest, type GenerateRequest } from "./request.ts";
import { generationRoom } from "./room.ts";
import { Scheduler } from "./scheduler.ts";

/**
 * Generates a continuation of each prompt: one request, by a {@link Scheduler} of its own.
 *
 * @throws {UsageError} for a request that cannot be met: a value out of its range, a prompt that is empty, has an
 * unknown token or is longer than the model's context, an edit that does not fit the model or is at a position that counts
 * from the end.
 * @throws {ModelError} when a model's logits are not numbers.
 * @throws {OutOfMemoryError} when the keys of one sequence do not fit.
 */
export async function generate(
  model: Transformer,
  request: GenerateRequest,
): Promise<Generated[]> {
  checkRequest(model.spec, request);
  const { prompts, maxNewTokens, edits = [], signal } = request;
  signal?.throwIfAborted();
  const { maxPositions } = model.spec;
  const limits = prompts.map(({ length }) => Math.min(maxNewTokens, maxPositions - length));
  const open = limits.flatMap((limit, s) => limit > 0 ? [s] : []);
  const room = generationRoom(model, edits.length);
  const keys = keysOf(groupPrompts(prompts, edits, open), limits);
  const scheduler = new Scheduler(model, {
    room,
    keys: Math.min(room.keys, keys),
    sequences: Math.min(room.sequences, Math.max(1, open.length)),
    edits: edits.length,
  });
  try {
    return await scheduler.submit(model, request);
  } finally {
    await scheduler.close();
  }
}

export type { Finish } from "./sequence.ts";
export type { Generated, GenerateRequest };
export type { Sampling } from "../ops/sampling.ts";
