/** Cross-entropy of logits. */

import tokenLossCode from "../../shaders/token_loss.wgsl" with { type: "text" };
import type { DeviceTensor } from "../gpu/tensor.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { u32 } from "../gpu/uniforms.ts";
import { longRowLanes } from "./grid.ts";

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
export function tokenLossRows(recorder: Recorder, args: TokenLossArgs): void {
  const { logits, targets, losses, first } = args;
  const [rows, width] = logits.shape;
  const { kernels } = recorder.gpu;
  const kernel = kernels.get("token_loss", tokenLossCode, longRowLanes(recorder.gpu, 2 * width));
  const params = [u32(rows), u32(width), u32(first)];
  recorder.dispatch(kernel, [logits.buffer, targets, losses], params, foldGrid(rows));
}
