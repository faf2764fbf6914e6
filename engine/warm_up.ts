/** Kernels that are compiled before they are needed, such as while weights are still on their way. */

import { OutOfMemoryError } from "./errors.ts";
import { KvCache } from "./kv_cache.ts";
import { copyRows } from "./ops/rows.ts";
import { sampleTokens, type Sampling, uploadRows } from "./ops/sampling.ts";
import type { ForwardRequest, Transformer } from "./transformer.ts";

/** A pass such as will come. */
export interface ComingPass {
  tokens: number;
  capture: ForwardRequest["capture"];
  /** Whether its keys and values go to a cache. */
  cached?: boolean;
  /** Keys that the cache then holds (default: 0). */
  before?: number;
}

const LAST_LOGITS = [{ hook: "logits", positions: [-1] }];

/** From so many tokens on, more of them need no other kernels. */
const MANY_TOKENS = 256;

/**
 * Has the kernels of these passes compiled, and only those: records the passes and gives the recordings up. What there is no
 * memory for now compiles when it runs.
 */
export function warmUp(model: Transformer, passes: readonly ComingPass[]): void {
  const { gpu, spec } = model;
  for (const { tokens, capture, cached, before = 0 } of passes) {
    const ids = new Array<number>(Math.min(tokens, MANY_TOKENS, spec.maxPositions)).fill(0);
    const cache = cached ? new KvCache(gpu, spec, before + ids.length) : undefined;
    const recorder = gpu.record();
    try {
      const batch = model.batch([ids], cache && [{ ...ALONE, ownLength: before }]);
      model.record(recorder, batch, { capture, cache }).release();
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
    } finally {
      recorder.close();
      cache?.destroy();
    }
  }
}

/** Has the kernels of generation compiled: of prompts of so many tokens together, of single tokens, and of their sampling. */
export function warmUpGeneration(
  model: Transformer,
  { promptTokens, sampling }: { promptTokens: number; sampling: Sampling },
): void {
  const pass = { capture: LAST_LOGITS, cached: true };
  const { gpu, spec: { vocabSize, maxPositions } } = model;
  const before = Math.min(promptTokens, MANY_TOKENS, maxPositions - 1);
  warmUp(model, [{ tokens: Math.max(1, promptTokens), ...pass }, { tokens: 1, before, ...pass }]);
  const recorder = gpu.record();
  const [logits, one] = [gpu.tensor([1, vocabSize]), gpu.tensor([1])];
  try {
    const pairs = recorder.upload(Uint32Array.of(0, 0));
    copyRows(recorder, { pairs, x: one.buffer, out: logits.buffer, count: 1, width: vocabSize });
    const rows = uploadRows(recorder, [{ slot: 0, stream: 0, step: 0, sampling }]);
    const state = { seen: one.buffer, words: 0, ids: one.buffer, history: one.buffer };
    sampleTokens(recorder, logits, rows, state, 0);
  } finally {
    recorder.close();
    for (const tensor of [logits, one]) tensor.release();
  }
}

/** A sequence that begins in an empty cache. */
const ALONE = { prefixStart: 0, prefixLength: 0, ownStart: 0, ownLength: 0 };
