/** The residual stream of a pass. */

/** What a sublayer adds through a norm of its own. */
export interface Pending {
  /** `[tokens, hidden]` f32. */
  y: GPUBuffer;
  /** The norm's weight. */
  weight: GPUBuffer;
}

/**
 * The residual stream, `[tokens, hidden]` f32. The norm after a sublayer may be left to the dispatch that reads the stream next:
 * whoever else wants it settles it first, see BlockPass.
 */
export class Residual {
  /** What `buffer` does not have yet. */
  pending?: Pending;

  constructor(public buffer: GPUBuffer) {}
}
