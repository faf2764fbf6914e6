/** Kernels that are compiled before they are needed, such as while weights are still on their way. */

import { KvCache } from "./kv_cache.ts";
import type { ForwardRequest, Transformer } from "./transformer.ts";

/** A pass such as will come. */
export interface ComingPass {
  tokens: number;
  capture: ForwardRequest["capture"];
  /** Whether its keys and values go to a cache. */
  cached?: boolean;
}

const LAST_LOGITS = [{ hook: "logits", positions: [-1] }];

/** What generation does: a prompt, then tokens one at a time. */
export const GENERATION: readonly ComingPass[] = [
  { tokens: 16, capture: LAST_LOGITS, cached: true },
  { tokens: 1, capture: LAST_LOGITS, cached: true },
];

/** Has the kernels of these passes compiled, and only those: records the passes and gives the recordings up. */
export function warmUp(model: Transformer, passes: readonly ComingPass[]): void {
  const { gpu, spec } = model;
  for (const { tokens, capture, cached } of passes) {
    const ids = new Array<number>(Math.min(tokens, spec.maxPositions)).fill(0);
    const cache = cached ? new KvCache(gpu, spec, ids.length) : undefined;
    const recorder = gpu.record();
    try {
      const batch = model.batch([ids], cache && [ALONE]);
      model.record(recorder, batch, { capture, cache }).release();
    } finally {
      recorder.close();
      cache?.destroy();
    }
  }
}

/** A sequence that begins in an empty cache. */
const ALONE = { prefixStart: 0, prefixLength: 0, ownStart: 0, ownLength: 0 };
