/** Rotary embedding and attention over ragged batches. */

import attentionCode from "../../shaders/attention.wgsl" with { type: "text" };
import attentionWorkgroupCode from "../../shaders/attention_workgroup.wgsl" with { type: "text" };
import ropeCode from "../../shaders/rope.wgsl" with { type: "text" };
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import { elementGrid } from "./grid.ts";

/** The widest head that the attention kernels hold. */
export const MAX_HEAD_DIM = 256;

/** Turns `x` `[tokens, heads, headDim]` by each token's position into `out`, or into its rows of the key cache. */
export function rope(
  recorder: Recorder,
  args: {
    x: GPUBuffer;
    tables: GPUBuffer;
    info: GPUBuffer;
    out: GPUBuffer;
    tokens: number;
    heads: number;
    headDim: number;
    toCache: boolean;
  },
): void {
  const { x, tables, info, out, tokens, heads, headDim, toCache } = args;
  const kernel = recorder.gpu.kernels.get("rope", ropeCode, { TO_CACHE: toCache ? 1 : 0 });
  const half = headDim / 2;
  const params = [u32(tokens), u32(heads), u32(half)];
  recorder.dispatch(kernel, [x, tables, info, out], params, elementGrid(tokens * heads * half));
}

/** Causal attention: `q`, `out` `[tokens, heads, headDim]`; keys and values by rows as `info` tells. */
export function attention(
  recorder: Recorder,
  args: {
    q: GPUBuffer;
    k: GPUBuffer;
    v: GPUBuffer;
    info: GPUBuffer;
    out: GPUBuffer;
    tokens: number;
    heads: number;
    kvHeads: number;
    headDim: number;
    scale: number;
  },
): void {
  const { q, k, v, info, out, tokens, heads, kvHeads, headDim, scale } = args;
  const { gpu } = recorder;
  const params = [u32(tokens), u32(heads), u32(kvHeads), u32(headDim / 4), f32(scale)];
  const buffers = [q, k, v, info, out];
  if (gpu.profile === "software") {
    const kernel = gpu.kernels.get("attention", attentionCode);
    recorder.dispatch(kernel, buffers, params, foldGrid(Math.ceil(tokens * heads / 8)));
  } else {
    const kernel = gpu.kernels.get("attention_workgroup", attentionWorkgroupCode);
    recorder.dispatch(kernel, buffers, params, foldGrid(tokens * heads));
  }
}
