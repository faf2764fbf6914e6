/** How many rows of logits are computed at a time. */

import type { Transformer } from "../engine/transformer.ts";

/** Logits held at once, in bytes: far below the smallest adapter's binding size, and enough to keep any busy. */
const LOGIT_BYTES = 64 << 20;
const MOST_ROWS = 2048;

/** Rows of logits a group may have, a multiple of `multiple`. */
export function rowsPerGroup({ spec }: Transformer, multiple: number): number {
  const rows = Math.min(MOST_ROWS, Math.floor(LOGIT_BYTES / (4 * spec.vocabSize)));
  return Math.max(1, Math.floor(rows / multiple)) * multiple;
}
