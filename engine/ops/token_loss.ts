/** Cross-entropy of logits. */

import tokenLossCode from "../../shaders/token_loss.wgsl" with { type: "text" };
import type { DeviceTensor } from "../gpu/tensor.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { u32 } from "../gpu/uniforms.ts";
import { overLongRows } from "./long_rows.ts";

/** Rows of logits and where their losses go. */
export interface TokenLossArgs {
  /** `[rows, vocab]`. */
  logits: DeviceTensor;
  /** The token that each row should have predicted: `[rows]` u32, below the vocabulary's size. */
  targets: GPUBuffer;
  /** Room for `first + rows` f32. */
  losses: GPUBuffer;
  /** Where in `losses` the first row's goes. */
  first: number;
}

/** `losses[first + r] = −ln softmax(logits[r])[targets[r]]`, in nats. */
export function tokenLossRows(
  recorder: Recorder,
  { logits: x, targets, losses, first }: TokenLossArgs,
): void {
  const buffers = [targets, losses];
  const params = [u32(first)];
  overLongRows(recorder, "token_loss", tokenLossCode, { x, visits: 2, buffers, params });
}
