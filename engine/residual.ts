/** The residual stream of a pass. */

import type { Join } from "./ops/few_rows.ts";

/**
 * The residual stream, `[tokens, hidden]` f32. The norm after a sublayer may be left to the dispatch that reads the stream next:
 * whoever else wants it settles it first, see BlockPass.
 */
export class Residual {
  /** What a sublayer adds through a norm of its own, and `buffer` does not have yet. */
  pending?: Omit<Join, "sum">;

  constructor(public buffer: GPUBuffer) {}
}
