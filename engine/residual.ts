/** The residual stream of a pass. */

import type { Addend } from "./ops/few_rows.ts";

/**
 * The residual stream, `[tokens, hidden]` f32. The norm after a sublayer, or an edit, may be left to the dispatch that reads the stream
 * next: whoever else wants it settles it first, see BlockPass.
 */
export class Residual {
  /** What is added to it, and `buffer` does not have yet. */
  pending?: Addend;

  constructor(public buffer: GPUBuffer) {}
}
