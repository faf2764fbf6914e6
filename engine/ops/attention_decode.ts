/** Attention where every sequence brings one token, with what comes between the projections and it, in one dispatch. */

import attentionDecodeCode from "../../shaders/attention_decode.wgsl" with { type: "text" };
import attentionDecodeStagedCode from "../../shaders/attention_decode_staged.wgsl" with {
  type: "text",
};
import attentionDecodeTexelCode from "../../shaders/attention_decode_texel.wgsl" with {
  type: "text",
};
import keyTexelsCode from "../../shaders/key_texels.wgsl" with { type: "text" };
import type { Gpu } from "../gpu/gpu.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import { elementGrid, KEY_CHUNK, MOST_TURNS } from "./grid.ts";

/** Sizes and choices that {@link attentionDecode} is specialised for. */
export interface DecodeShape {
  heads: number;
  kvHeads: number;
  headDim: number;
  /** The most keys that stand before a token, itself among them. */
  keys: number;
  window: number | null;
}

/** What {@link attentionDecode} reads and writes; shapes in attention_decode.wgsl. */
export interface AttentionDecodeArgs extends DecodeShape {
  qkv: GPUBuffer;
  /** Of each head, before it turns; absent where the model has none. */
  norms?: { q: GPUBuffer; k: GPUBuffer; eps: number };
  tables: GPUBuffer;
  rotaryDim: number;
  info: GPUBuffer;
  /** Get the tokens' rows. */
  k: GPUBuffer;
  v: GPUBuffer;
  out: GPUBuffer;
  /** What holds the first keys and values too; how many of each token's stands in `info` then: see attention_decode_texel.wgsl. */
  texels?: { k: GPUTexture; v: GPUTexture };
  tokens: number;
  scale: number;
  /** Scores become softcap · tanh(score / softcap); null or absent leaves them. */
  softcap?: number | null;
}

/** Whether {@link attentionDecode} can do this on the adapter. */
export function fitsDecode(
  { profile, limits }: Pick<Gpu, "profile" | "limits">,
  { heads, kvHeads, headDim, keys, window }: DecodeShape,
): boolean {
  const group = heads / kvHeads;
  if (profile !== "software") return headDim <= 4 * MOST_WIDTH;
  const constants = constantsOf(group, headDim);
  if (sharedBytes(constants) > limits.maxComputeWorkgroupStorageSize) return false;
  const turns = headDim / 256 + Math.ceil(headDim / 4 / LANES) + (LANES + 1) / 64;
  const rounds = group / constants.HEADS;
  return rounds * turns * (Math.min(keys, window ?? Infinity) + 128) <= MOST_TURNS;
}

/** Bytes that the lanes of a token and a key head share on software adapters. */
function sharedBytes({ GROUP, QUERIES }: ReturnType<typeof constantsOf>): number {
  return 4 * (GROUP + 1) + 16 * (QUERIES + LANES + 64);
}

/**
 * How many key heads of a token go side by side in a workgroup of attention_decode_texel.wgsl: as many as fill the adapter's vectors,
 * where there are some for every core and they share no more than there is.
 */
export function sidesOf(
  gpu: Gpu,
  { tokens, heads, kvHeads, headDim }: Pick<AttentionDecodeArgs, "tokens" | keyof DecodeShape>,
): number {
  const sides = gpu.lanes / 8;
  const bytes = sides * sharedBytes(constantsOf(heads / kvHeads, headDim));
  const fill = kvHeads % sides === 0 && tokens * kvHeads >= 2 * sides &&
    bytes <= gpu.limits.maxComputeWorkgroupStorageSize;
  return fill ? sides : 1;
}

/**
 * Norm of q and k, rotation, the way of keys and values into their rows, and attention to them, as `rmsnorm`, `rope`,
 * `copyRows` and `attention` do it one after the other: the same bits. No two tokens may be of one sequence.
 */
export function attentionDecode(recorder: Recorder, args: AttentionDecodeArgs): void {
  const { qkv, norms, tables, info, k, v, out, texels, tokens, heads, kvHeads, headDim } = args;
  const { gpu } = recorder;
  const { kernels } = gpu;
  const group = heads / kvHeads;
  const params = [
    u32(tokens),
    u32(heads),
    u32(kvHeads),
    u32(headDim / 4),
    u32(args.rotaryDim / 2),
    u32(Math.min(args.window ?? Infinity, 2 ** 32 - 1)),
    f32(args.scale),
    f32(norms?.eps ?? 0),
    f32(args.softcap ?? 0),
  ];
  // What is not read must be bound all the same.
  const buffers = [qkv, norms?.q ?? tables, norms?.k ?? tables, tables, info, k, v, out];
  const common = { NORM: norms ? 1 : 0, SOFTCAP: args.softcap ? 1 : 0 };
  if (gpu.profile !== "software") {
    const constants = { ...stagedConstants(group, headDim), ...common };
    const kernel = kernels.get("attention_decode_staged", attentionDecodeStagedCode, constants);
    recorder.dispatch(kernel, buffers, params, foldGrid(tokens * kvHeads));
  } else if (texels) {
    const SIDES = sidesOf(gpu, args);
    const WINDOWED = args.window === null ? 0 : 1;
    const constants = { ...constantsOf(group, headDim), ...common, SIDES, WINDOWED };
    const kernel = kernels.get("attention_decode_texel", attentionDecodeTexelCode, constants);
    const bound = [...buffers, texels.k, texels.v];
    recorder.dispatch(kernel, bound, params, foldGrid(tokens * kvHeads / SIDES));
  } else {
    const constants = { ...constantsOf(group, headDim), ...common };
    const kernel = kernels.get("attention_decode", attentionDecodeCode, constants);
    recorder.dispatch(kernel, buffers, params, foldGrid(tokens * kvHeads));
  }
}

/** Copies the listed rows of keys and values into textures: `rows` `[count]`, `k` and `v` `[·, width]`. */
export function keysToTexels(
  recorder: Recorder,
  args: {
    rows: Uint32Array<ArrayBuffer>;
    k: GPUBuffer;
    v: GPUBuffer;
    texels: { k: GPUTexture; v: GPUTexture };
    width: number;
  },
): void {
  const { rows, k, v, texels, width } = args;
  const kernel = recorder.gpu.kernels.get("key_texels", keyTexelsCode);
  const bound = [recorder.upload(rows), k, v, texels.k, texels.v];
  const params = [u32(rows.length), u32(width / 4)];
  recorder.dispatch(kernel, bound, params, elementGrid(rows.length * width / 4));
}

/** Token info with how many of its keys textures hold of each token, as attention_decode_texel.wgsl reads it. */
export function withHeld(info: Uint32Array, held: Uint32Array): Uint32Array<ArrayBuffer> {
  const both = new Uint32Array(info.length + 4 * Math.ceil(held.length / 4));
  both.set(info);
  both.set(held, info.length);
  return both;
}

/** How many of the query heads that read the same keys a thread takes. */
export function headsTogether(group: number): number {
  return [4, 3, 2].find((heads) => group % heads === 0) ?? 1;
}

/** Threads of a workgroup of attention_decode.wgsl and attention_decode_texel.wgsl: a lane of the CPU's vectors each, so that a barrier is next to nothing. */
const LANES = 8;

function constantsOf(GROUP: number, headDim: number) {
  return { HEADS: headsTogether(GROUP), GROUP, QUERIES: GROUP * headDim / 4 };
}

/** vec4s of the largest head that attention_decode_staged.wgsl takes: four such heads have a thread for each. */
const MOST_WIDTH = 64;

/** vec4s of values that attention_decode_staged.wgsl has in workgroup memory: with the rest some 14 of the 16 KiB that every adapter has. */
const STAGED_VALUES = 512;

function stagedConstants(GROUP: number, headDim: number) {
  const HEADS = headsTogether(GROUP);
  const WIDTH = headDim / 4;
  const STAGED = Math.min(KEY_CHUNK, 2 ** Math.floor(Math.log2(STAGED_VALUES / WIDTH)));
  return { LANES: HEADS * WIDTH <= 128 ? 128 : 256, HEADS, STAGED, WIDTH, GROUP };
}
