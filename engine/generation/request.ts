/** What may be asked of generation, and what cannot. */

import { checkEdit } from "../edits.ts";
import { UsageError } from "../errors.ts";
import type { Edit } from "../hooks.ts";
import type { ModelSpec } from "../model_spec.ts";
import { MOST_TOP_LOGPROBS } from "../ops/logprobs.ts";
import { checkSampling, type Sampling } from "../ops/sampling.ts";
import type { Stopping } from "./sequence.ts";

/** What to generate. */
export interface GenerateRequest extends Stopping {
  /** Token ids, one array a sequence. Sequences with equal prompts and equal edits share the prompt's pass. */
  prompts: readonly ArrayLike<number>[];
  /** The most tokens that a sequence gets; it ends at the model's context too. */
  maxNewTokens: number;
  sampling: Sampling;
  /**
   * Edits of prompt and continuation. A list of scales has one for each sequence. Listed positions count from the
   * sequence's start.
   */
  edits?: readonly Edit[];
  /** Which stream of random numbers each sequence draws from, 32 bits. Default: its place in `prompts`. */
  streams?: readonly number[];
  /**
   * How many of the likeliest tokens are told beside each new one, with log-probabilities by the model's own distribution:
   * before penalty, temperature and what is left out. 0 tells that of the new one alone; absent, none is.
   */
  logprobs?: number;
  /** Ends the work between two passes or readbacks, with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Fails for a request that cannot be met.
 *
 * @throws {UsageError} that names the value.
 */
export function checkRequest(spec: ModelSpec, request: GenerateRequest): void {
  const { prompts, maxNewTokens, sampling, edits = [], streams, logprobs = 0 } = request;
  checkSampling(sampling);
  if (!(Number.isSafeInteger(maxNewTokens) && maxNewTokens > 0)) {
    throw new UsageError(`Cannot generate ${maxNewTokens} tokens: ask for 1 or more`);
  }
  if (!(Number.isInteger(logprobs) && logprobs >= 0 && logprobs <= MOST_TOP_LOGPROBS)) {
    throw new UsageError(
      `Cannot tell the ${logprobs} likeliest tokens: it must be 0 to ${MOST_TOP_LOGPROBS}`,
    );
  }
  prompts.forEach((prompt, s) => checkPrompt(prompt, s, spec));
  for (const edit of edits) {
    checkEdit(spec, edit);
    const { hook, scale, positions } = edit;
    if (typeof scale === "object" && scale.length !== prompts.length) {
      throw new UsageError(
        `Cannot edit at "${hook}": there are ${scale.length} scales for ${prompts.length} sequences`,
      );
    }
    const wrong = Array.isArray(positions) &&
      positions.find((p) => !(Number.isInteger(p) && p >= 0));
    if (typeof wrong === "number") {
      throw new UsageError(
        `Cannot edit at position ${wrong} while generating: the end moves, so positions count from the start`,
      );
    }
  }
  const wrong = streams?.find((stream) => stream >>> 0 !== stream);
  if (wrong !== undefined || streams && streams.length !== prompts.length) {
    throw new UsageError(
      `Cannot draw from streams [${streams}]: there must be one 32-bit number for each of ${prompts.length} sequences`,
    );
  }
}

function checkPrompt(
  prompt: ArrayLike<number>,
  s: number,
  { vocabSize, maxPositions }: ModelSpec,
): void {
  const fail = (reason: string) => new UsageError(`Cannot continue prompt ${s}: ${reason}`);
  if (prompt.length === 0) throw fail("it has no tokens");
  if (prompt.length > maxPositions) {
    throw fail(`its ${prompt.length} tokens are over the model's context of ${maxPositions}`);
  }
  for (let i = 0; i < prompt.length; i++) {
    const id = prompt[i];
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    throw fail(`token ${id} at place ${i} is not in the vocabulary of ${vocabSize}`);
  }
}
