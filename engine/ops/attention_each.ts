/** Attention of many sequences that bring one token each, for software adapters: all of it from textures. */

import attentionEachTexelCode from "../../shaders/attention_each_texel.wgsl" with { type: "text" };
import attentionPrefixTexelCode from "../../shaders/attention_prefix_texel.wgsl" with {
  type: "text",
};
import turnTexelCode from "../../shaders/turn_texel.wgsl" with { type: "text" };
import type { Gpu } from "../gpu/gpu.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import { type AttentionDecodeArgs, headsTogether } from "./attention_decode.ts";
import { CHUNK, KEY_CHUNK, MOST_TURNS } from "./grid.ts";

/** Queries, of tokens and heads that read the same keys, that a thread of attention_prefix_texel.wgsl takes. */
export const GROUP_QUERIES = 12;

/** Tokens that share a prefix, of which the whole chunks are gone through once for a group of their queries. */
export interface SharedPrefixes {
  /** `[count, 16]`: see attention_prefix_texel.wgsl. */
  groups: GPUBuffer;
  count: number;
  /** How many keys, from the first on, each token's groups go through, a multiple of 64; 0 where it is in none: `[tokens]`. */
  passed: GPUBuffer;
}

/** What {@link attentionEach} reads and writes. */
export interface AttentionEachArgs extends Omit<AttentionDecodeArgs, "qkv" | "texels"> {
  /**
   * `qkv` as `attentionDecode` has it in a buffer; `q` `[tokens, heads, headDim]` is scratch; `k` and `v` hold every key and value
   * that was there before. What is asked for goes to `out` where that is given, and the buffer of the name is scratch.
   */
  texels: { qkv: GPUTexture; q: GPUTexture; k: GPUTexture; v: GPUTexture; out?: GPUTexture };
  shared?: SharedPrefixes;
  /** `[tokens, heads, 2]` f32, where something is shared. */
  state?: GPUBuffer;
}

/** Whether {@link attentionEach} can do this on the adapter. */
export function fitsEach(
  { profile }: Pick<Gpu, "profile">,
  { headDim, rotaryDim, keys }: { headDim: number; rotaryDim: number; keys: number },
): boolean {
  if (profile !== "software" || rotaryDim % 8 !== 0) return false;
  const width = headDim / 4;
  // A chunk's turns: of scores, weights and sums, as the shader has them.
  const scores = KEY_CHUNK / 4 * (1 + Math.ceil(4 * width / CHUNK) + width);
  const turns = 1 + scores + KEY_CHUNK + Math.ceil(width / 4) * (1 + KEY_CHUNK);
  return (Math.ceil(keys / KEY_CHUNK) + 1) * turns <= MOST_TURNS;
}

/** As `attentionDecode`, to the bit. */
export function attentionEach(recorder: Recorder, args: AttentionEachArgs): void {
  const { norms, tables, info, k, v, out, texels, tokens, heads, kvHeads, headDim } = args;
  const { kernels, unused } = recorder.gpu;
  const sizes = [u32(heads), u32(kvHeads), u32(headDim / 4)];
  const HEADS = norms ? heads + kvHeads : 1;
  // As many lanes for a token as a head has pairs of vec4s.
  const LANES = [4, 8].find((lanes) => args.rotaryDim / 8 <= lanes) ?? 16;
  const turn = kernels.get("turn_texel", turnTexelCode, { NORM: norms ? 1 : 0, HEADS, LANES });
  recorder.dispatch(
    turn,
    // What is not read must be bound all the same.
    [
      texels.qkv,
      norms?.q ?? tables,
      norms?.k ?? tables,
      tables,
      info,
      k,
      v,
      texels.q,
      texels.k,
      texels.v,
    ],
    [u32(tokens), ...sizes, u32(args.rotaryDim / 8), f32(norms?.eps ?? 0)],
    foldGrid(Math.ceil(tokens * LANES / 16)),
  );
  const { keys, window, softcap, scale } = args;
  // A window may leave out some of what is shared, of each token another part; and the kernel knows no softcap.
  const shared = keys <= (window ?? Infinity) && !softcap ? args.shared : undefined;
  if (shared) {
    const constants = { WIDE: headDim > CHUNK ? 1 : 0 };
    const kernel = kernels.get("attention_prefix_texel", attentionPrefixTexelCode, constants);
    recorder.dispatch(
      kernel,
      [texels.q, texels.k, texels.v, shared.groups, out, args.state!],
      [u32(shared.count), ...sizes, f32(scale)],
      foldGrid(Math.ceil(shared.count * kvHeads / 16)),
    );
  }
  const together = headsTogether(heads / kvHeads);
  const constants = {
    HEADS: together,
    SOFTCAP: softcap ? 1 : 0,
    SHARED: shared ? 1 : 0,
    TEXELS: texels.out ? 1 : 0,
  };
  recorder.dispatch(
    kernels.get("attention_each_texel", attentionEachTexelCode, constants),
    [
      texels.q,
      texels.k,
      texels.v,
      info,
      shared?.passed ?? info,
      args.state ?? tables,
      out,
      texels.out ?? unused.texels,
    ],
    [
      u32(tokens),
      ...sizes,
      u32(Math.min(window ?? Infinity, 2 ** 32 - 1)),
      f32(scale),
      f32(softcap ?? 0),
    ],
    foldGrid(Math.ceil(tokens * heads / together / 16)),
  );
}
