/** One token of each of several sequences, which share a prefix or stand alone, from the projections to attention. */

import { TEXEL_BYTES } from "../../gpu/texels.ts";
import { attentionDecode, keysToTexels, withHeld } from "../../ops/attention_decode.ts";
import { attentionEach } from "../../ops/attention_each.ts";
import { attentionDecodeReference } from "../../ops/attention_decode_reference.ts";
import type { Reference } from "../../ops/reference.ts";
import { sharedPrefixes } from "../../prefix_groups.ts";
import { ropeTable } from "../../rope.ts";
import { allRows, kernelCase } from "../case.ts";
import { type Distribution, type Draw, rowsOf } from "../inputs.ts";
import { readTexels } from "../read_texels.ts";

interface Sizes {
  heads: number;
  kvHeads: number;
  headDim: number;
  /** Elements of a head that turn (default: all). */
  rotaryDim?: number;
  window?: number;
  /** The length of the prefix that every other sequence shares. */
  prefix?: number;
  softcap?: number;
  /** Whether queries and keys are normed. */
  norm?: boolean;
  distributions?: readonly Distribution[];
}

/** @param lengths keys of each sequence, the new one among them and those of the prefix left out */
function shape(lengths: readonly number[], sizes: Sizes) {
  const { heads, kvHeads, headDim, rotaryDim = headDim, prefix = 0, norm = false } = sizes;
  const { window = null, softcap = null } = sizes;
  const notes = [
    `after ${lengths.map((length) => length - 1)}`,
    `${heads}/${kvHeads} heads of ${headDim}`,
    ...(rotaryDim < headDim ? [`${rotaryDim} turn`] : []),
    ...(prefix ? [`prefix ${prefix}`] : []),
    ...(window ? [`window ${window}`] : []),
    ...(softcap ? [`cap ${softcap}`] : []),
    ...(norm ? ["normed"] : []),
  ];
  const { distributions } = sizes;
  const all = { heads, kvHeads, headDim, rotaryDim, window, softcap, prefix, norm, distributions };
  return { label: notes.join(", "), rows: lengths.length, lengths, ...all };
}

/** Keys and values from buffers alone, the first of them from textures, or all, with what sequences share gone through once. */
type Way = "buffers" | "texels" | "each";

/** What leads to every variant of the first two ways. */
const ALONE = [
  shape([3, 70, 1], { heads: 6, kvHeads: 2, headDim: 12, prefix: 67, norm: true }),
  shape([66, 5], { heads: 4, kvHeads: 1, headDim: 72, rotaryDim: 20, window: 63, prefix: 3 }),
  shape([1], { heads: 1, kvHeads: 1, headDim: 4 }),
  shape([130, 64], { heads: 14, kvHeads: 2, headDim: 64 }),
  shape([68, 3], { heads: 6, kvHeads: 2, headDim: 80, softcap: 5, window: 66, prefix: 2 }),
  shape([65], { heads: 16, kvHeads: 2, headDim: 128, norm: true, prefix: 9 }),
  shape([17], { heads: 2, kvHeads: 1, headDim: 256, norm: true }),
  shape([4096], { heads: 4, kvHeads: 2, headDim: 64, distributions: ["normal", "outliers"] }),
];

/** Likewise of the third: every other sequence has the prefix. */
const EACH = [
  shape([3, 70, 1, 5, 9], {
    heads: 6,
    kvHeads: 2,
    headDim: 12,
    rotaryDim: 8,
    prefix: 67,
    norm: true,
  }),
  shape([66, 5], { heads: 4, kvHeads: 1, headDim: 72, rotaryDim: 24, window: 63, prefix: 3 }),
  shape([68, 3, 1, 1, 2, 8], { heads: 6, kvHeads: 2, headDim: 80, softcap: 5, prefix: 130 }),
  shape([1], { heads: 1, kvHeads: 1, headDim: 8 }),
  shape([130, 64], { heads: 14, kvHeads: 2, headDim: 64 }),
  shape([3, 9, 4, 2, 60], { heads: 2, kvHeads: 1, headDim: 32, softcap: 5, prefix: 64 }),
  shape([65, 3, 1, 8, 17], { heads: 4, kvHeads: 2, headDim: 128, norm: true, prefix: 66 }),
  shape([17], { heads: 2, kvHeads: 1, headDim: 256, norm: true }),
  shape([4096], { heads: 4, kvHeads: 2, headDim: 64, distributions: ["normal", "outliers"] }),
];

function decodeCase(op: string, way: Way) {
  return kernelCase({
    op,
    shapes: way === "each" ? EACH : ALONE,
    quick: way === "each" ? 3 : 2,
    random(draw) {
      const kvHeads = 1 + draw.below(3);
      const each = way === "each";
      const headDim = each ? 8 * (1 + draw.below(16)) : 4 * (1 + draw.below(32));
      const lengths = Array.from({ length: each ? 6 : 2 }, () => 1 + draw.below(80));
      return shape(lengths, {
        heads: kvHeads * (1 + draw.below(8)),
        kvHeads,
        headDim,
        rotaryDim: each ? 8 * (1 + draw.below(headDim / 8)) : 2 * (1 + draw.below(headDim / 2)),
        window: draw.below(2) ? 1 + draw.below(100) : undefined,
        prefix: draw.below(100),
        norm: draw.below(2) === 1,
        softcap: draw.below(3) === 0 ? 20 : undefined,
      });
    },
    make(sizes, draw, picked = allRows(sizes.rows)) {
      const { heads, kvHeads, headDim, rotaryDim, window, softcap, norm, lengths, prefix } = sizes;
      const width = (heads + 2 * kvHeads) * headDim;
      const qkv = rowsOf(projections(draw, sizes), width, picked);
      const { info: all, rows } = places(lengths, prefix);
      // Of every third token, the last keys are missing from the textures.
      const info = rowsOf(all, 4, picked);
      const held = Uint32Array.from(
        picked,
        (row, t) => info[4 * t + 3] * Number(row % 3 < 2) >> row % 2,
      );
      const k = keys(draw, rows * kvHeads * headDim, headDim);
      const v = draw.values(rows * kvHeads * headDim, headDim, 100);
      const weights = [0, 1].map(() => draw.normals(headDim));
      const norms = norm ? { q: weights[0], k: weights[1], eps: 1e-5 } : undefined;
      const most = prefix + Math.max(...lengths);
      const tables = ropeTable({ theta: 10_000, rotaryDim, scaling: { kind: "none" } }, most);
      const scale = 1 / Math.sqrt(headDim);
      let expected: Record<"k" | "v" | "out", Reference> | undefined;
      const reference = (name: "k" | "v" | "out") => () =>
        (expected ??= attentionDecodeReference(
          { qkv, norms, tables, info, k, v },
          { heads, kvHeads, headDim, rotaryDim, window, softcap, scale },
        ))[name];
      return {
        buffers: {
          qkv,
          q_norm: weights[0],
          k_norm: weights[1],
          tables,
          info: way === "each" ? info : withHeld(info, held),
          k,
          v,
          out: { words: picked.length * heads * headDim },
        },
        record(recorder, at) {
          const { gpu } = recorder;
          const wide = 4 * picked.length * heads * headDim;
          const sizes = [k.byteLength, k.byteLength, wide, wide, qkv.byteLength];
          const textures = way === "buffers"
            ? []
            : sizes.map((bytes) => gpu.texels.acquire(bytes)!);
          const [textureK, textureV, q, out, projected] = textures;
          const texels = textureK && { k: textureK, v: textureV };
          if (texels) {
            keysToTexels(recorder, {
              rows: Uint32Array.from({ length: rows }, (_, row) => row),
              k: at.k.buffer,
              v: at.v.buffer,
              texels,
              width: kvHeads * headDim,
            });
          }
          const args = {
            norms: norms && { q: at.q_norm.buffer, k: at.k_norm.buffer, eps: norms.eps },
            tables: at.tables.buffer,
            rotaryDim,
            info: at.info.buffer,
            k: at.k.buffer,
            v: at.v.buffer,
            out: at.out.buffer,
            tokens: picked.length,
            heads,
            kvHeads,
            headDim,
            keys: most,
            scale,
            softcap,
            window,
          };
          if (way === "each") {
            const shared = sharedPrefixes(recorder, info, heads / kvHeads);
            const state = gpu.tensor([picked.length, heads, 2]);
            const bytes = 4 * picked.length * width;
            recorder.copyToTexels({
              buffer: at.qkv.buffer,
              offset: 0,
              bytes,
              texture: projected,
            });
            // To a texture, or without one.
            const end = kvHeads > 1 ? out : undefined;
            attentionEach(recorder, {
              ...args,
              texels: { ...texels!, qkv: projected, q, out: end },
              shared,
              state: state.buffer,
            });
            state.release();
            if (end) readTexels(recorder, end, wide / TEXEL_BYTES, at.out);
          } else attentionDecode(recorder, { ...args, qkv: at.qkv.buffer, texels });
          for (const one of textures) gpu.texels.release(one);
        },
        expect: {
          k: { rowWords: 0, reference: reference("k") },
          v: { rowWords: 0, reference: reference("v") },
          out: { rowWords: heads * headDim, reference: reference("out") },
        },
      };
    },
  });
}

export const attentionDecodeCase = decodeCase("attention_decode", "buffers");
export const attentionDecodeTexelCase = decodeCase("attention_decode_texel", "texels");
export const attentionEachCase = decodeCase("attention_each", "each");

/** Queries and keys such that softmax has more than one term, and values of any size. */
function projections(draw: Draw, { rows, heads, kvHeads, headDim }: ReturnType<typeof shape>) {
  const q = draw.normals(rows * heads * headDim);
  const k = keys(draw, rows * kvHeads * headDim, headDim);
  const v = draw.values(rows * kvHeads * headDim, headDim, 100);
  const all = new Float32Array(q.length + k.length + v.length);
  const [wide, narrow] = [heads * headDim, kvHeads * headDim];
  for (let row = 0; row < rows; row++) {
    const at = row * (wide + 2 * narrow);
    all.set(q.subarray(row * wide, (row + 1) * wide), at);
    all.set(k.subarray(row * narrow, (row + 1) * narrow), at + wide);
    all.set(v.subarray(row * narrow, (row + 1) * narrow), at + wide + narrow);
  }
  return all;
}

function keys(draw: Draw, count: number, headDim: number): Float32Array<ArrayBuffer> {
  return draw.distribution === "large" ? draw.normals(count) : draw.values(count, headDim);
}

/** Token info of the sequences' last tokens, and the rows of keys in all: own rows one after the other, then the prefix. */
function places(lengths: readonly number[], prefix: number) {
  const own = lengths.reduce((sum, length) => sum + length, 0);
  let start = 0;
  const info = lengths.flatMap((length, s) => {
    const shared = s % 2 === 0 ? prefix : 0;
    const place = [own, shared, start, shared + length - 1];
    start += length;
    return place;
  });
  return { info: Uint32Array.from(info), rows: own + prefix };
}
