/** Rotary embedding and attention over ragged batches. */

import attentionCode from "../../shaders/attention.wgsl" with { type: "text" };
import attentionTexelCode from "../../shaders/attention_texel.wgsl" with { type: "text" };
import attentionTiledCode from "../../shaders/attention_tiled.wgsl" with { type: "text" };
import attentionWorkgroupCode from "../../shaders/attention_workgroup.wgsl" with { type: "text" };
import ropeCode from "../../shaders/rope.wgsl" with { type: "text" };
import ropeVec4Code from "../../shaders/rope_vec4.wgsl" with { type: "text" };
import { DeviceError } from "../errors.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import { CHUNK, elementGrid, MOST_TURNS } from "./grid.ts";

/** The widest head that the attention kernels hold. */
export const MAX_HEAD_DIM = 256;

/**
 * Turns `x` `[tokens, heads, headDim]` by each token's position into `out`, or into its rows of the key cache.
 *
 * Of each head the first `rotaryDim` elements (an even number) turn, by `tables` `[positions, rotaryDim / 2]` of (cos,
 * sin); the others are copied.
 */
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
    rotaryDim: number;
    toCache: boolean;
  },
): void {
  const { x, tables, info, out, tokens, heads, headDim, rotaryDim, toCache } = args;
  const { kernels } = recorder.gpu;
  const half = rotaryDim / 2;
  const wide = headDim % 4 === 0 && half % 4 === 0;
  const constants = { TO_CACHE: toCache ? 1 : 0 };
  const kernel = wide
    ? kernels.get("rope_vec4", ropeVec4Code, constants)
    : kernels.get("rope", ropeCode, constants);
  const [size, turned] = wide ? [headDim / 4, half / 4] : [headDim, half];
  const params = [u32(tokens), u32(heads), u32(size), u32(turned)];
  const grid = elementGrid(tokens * heads * (size - turned));
  recorder.dispatch(kernel, [x, tables, info, out], params, grid);
}

/** What {@link attention} reads and writes. */
export interface AttentionArgs {
  q: GPUBuffer;
  k: GPUBuffer;
  v: GPUBuffer;
  info: GPUBuffer;
  out: GPUBuffer;
  tokens: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  /** The most keys that stand before a query of these, itself among them. */
  keys: number;
  scale: number;
  window: number | null;
  softcap: number | null;
  /** Tokens of one sequence that follow one another, where the host knows them: they share the keys' loads. */
  runs?: QueryRuns;
}

/** The tokens of a batch in blocks of up to {@link BLOCK_TOKENS}, and the rows of keys and values that they see. */
export interface QueryRuns {
  /** `[blocks]` of (first token, tokens). */
  blocks: GPUBuffer;
  count: number;
  firstRow: number;
  rows: number;
}

/** Tokens that a thread of attention_texel.wgsl and a workgroup of attention_tiled.wgsl take. */
export const BLOCK_TOKENS = 4;

/**
 * Causal attention: `q`, `out` `[tokens, heads, headDim]`; keys and values by rows as `info` tells.
 *
 * With a `window`, a query at position p sees the keys p − window < j ≤ p only; the others cost nothing. With a
 * `softcap`, a score s (after `scale`) becomes softcap·tanh(s / softcap).
 */
export function attention(recorder: Recorder, args: AttentionArgs): void {
  const { q, k, v, info, out, tokens, heads, kvHeads, headDim, scale, window, softcap } = args;
  const { gpu } = recorder;
  const keys = Math.min(args.keys, window ?? Infinity);
  if (args.runs) {
    if (gpu.profile !== "software") return tiledAttention(recorder, args, args.runs);
    if (texelAttention(recorder, args, args.runs)) return;
  }
  const params = [
    u32(tokens),
    u32(heads),
    u32(kvHeads),
    u32(headDim / 4),
    u32(Math.min(window ?? Infinity, 2 ** 32 - 1)),
    f32(scale),
    f32(softcap ?? 0),
  ];
  const buffers = [q, k, v, info, out];
  const constants = { SOFTCAP: softcap === null ? 0 : 1 };
  const software = gpu.profile === "software";
  // A thread has a query to itself, and goes to each key's elements twice.
  if (software && keys * (headDim / 2 + headDim / 64 + 3) <= MOST_TURNS) {
    const kernel = gpu.kernels.get("attention", attentionCode, constants);
    recorder.dispatch(kernel, buffers, params, foldGrid(Math.ceil(tokens * heads / 16)));
  } else {
    if (software && keys * (3 + headDim / 256) > MOST_TURNS) {
      throw new DeviceError(
        `Cannot attend to ${keys} keys on an adapter that computes on the CPU: its loops end too soon (use shorter sequences)`,
      );
    }
    const kernel = gpu.kernels.get("attention_workgroup", attentionWorkgroupCode, constants);
    recorder.dispatch(kernel, buffers, params, foldGrid(tokens * heads));
  }
}

/** Attention of blocks of tokens on GPUs. */
function tiledAttention(
  recorder: Recorder,
  { q, k, v, info, out, heads, kvHeads, headDim, scale, window, softcap }: AttentionArgs,
  { blocks, count }: QueryRuns,
): void {
  const HEADS = tiledHeads(heads / kvHeads, headDim / 4);
  const constants = { HEADS, WIDTH: headDim / 4, SOFTCAP: softcap === null ? 0 : 1 };
  const kernel = recorder.gpu.kernels.get("attention_tiled", attentionTiledCode, constants);
  const params = [
    u32(count),
    u32(heads),
    u32(kvHeads),
    u32(Math.min(window ?? Infinity, 2 ** 32 - 1)),
    f32(scale),
    f32(softcap ?? 0),
  ];
  const grid = foldGrid(count * heads / HEADS);
  recorder.dispatch(kernel, [q, k, v, info, blocks, out], params, grid);
}

/** How many of the heads that read the same keys a workgroup of attention_tiled.wgsl takes: what its arrays have room for. */
function tiledHeads(group: number, width: number): number {
  const fits = (heads: number) => {
    const queries = BLOCK_TOKENS * heads;
    return group % heads === 0 && queries * width <= 512 &&
      Math.ceil(queries / Math.min(Math.floor(64 / width), queries)) <= 8;
  };
  return [4, 3, 2].find(fits) ?? 1;
}

/** Attention through textures. Tells whether there was room for them; else it does nothing. */
function texelAttention(
  recorder: Recorder,
  { q, k, v, info, out, tokens, heads, kvHeads, headDim, scale, window, softcap }: AttentionArgs,
  { blocks, count, firstRow, rows }: QueryRuns,
): boolean {
  const { texels, kernels } = recorder.gpu;
  const rowBytes = 4 * kvHeads * headDim;
  const parts = [
    { buffer: q, offset: 0, bytes: 4 * tokens * heads * headDim },
    { buffer: k, offset: firstRow * rowBytes, bytes: rows * rowBytes },
    { buffer: v, offset: firstRow * rowBytes, bytes: rows * rowBytes },
  ];
  if (parts.some(({ bytes }) => bytes > texels.largest)) return false;
  const textures = parts.map(({ bytes }) => texels.acquire(bytes));
  const held = textures.filter((texture) => texture !== undefined);
  if (held.length === parts.length) {
    held.forEach((texture, i) => recorder.copyToTexels({ ...parts[i], texture }));
    const params = [
      u32(count),
      u32(heads),
      u32(kvHeads),
      u32(headDim / 4),
      u32(Math.min(window ?? Infinity, 2 ** 32 - 1)),
      u32(firstRow),
      f32(scale),
      f32(softcap ?? 0),
    ];
    const constants = { SOFTCAP: softcap === null ? 0 : 1, WIDE: headDim > CHUNK ? 1 : 0 };
    const kernel = kernels.get("attention_texel", attentionTexelCode, constants);
    const grid = foldGrid(Math.ceil(count * heads / 16));
    recorder.dispatch(kernel, [...held, info, blocks, out], params, grid);
  }
  for (const texture of held) texels.release(texture);
  return held.length === parts.length;
}
