/** One request and its answer: what handlers are given, and what the log is told at the end. */

import type { Scheduler } from "../../engine/generation/scheduler.ts";
import { ApiError } from "./api_error.ts";
import type { ServedModels } from "./served_models.ts";

/** What all requests share. */
export interface ServeState {
  models: ServedModels;
  scheduler: Scheduler;
  /** The most tokens of a sequence whose request does not say. */
  defaultTokens: number;
  /** The most sequences that may wait. */
  maxWaiting: number;
}

/** Tokens that an answer took, as OpenAI's API tells them. */
export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** Adds them up. */
export function usageOf(prompt: number, completion: number): Usage {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
  };
}

/** One request under way. */
export interface Exchange extends ServeState {
  /** Aborts when the client has gone, or the server ends. */
  signal: AbortSignal;
  body: unknown;
  /** For the log. */
  note: { model?: string; prompt: number; completion: number; answer: string[] };
}

/**
 * Fails where too much waits already.
 *
 * @throws {ApiError} 429 that says when to come back
 */
export function checkQueue({ scheduler, maxWaiting }: ServeState, sequences: number): void {
  if (scheduler.waiting === 0 || scheduler.waiting + sequences <= maxWaiting) return;
  throw new ApiError(
    429,
    `Cannot take ${sequences} more: ${scheduler.waiting} sequences wait already, of ${maxWaiting} that may`,
    { code: "queue_full", headers: { "retry-after": "2" } },
  );
}
