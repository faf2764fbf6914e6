/** Attention in decoding, as a step does it: one sequence, or 64 that share their prompt. */

import { attentionDecode, keysToTexels, withHeld } from "../../engine/ops/attention_decode.ts";
import { attentionDecodeReference } from "../../engine/ops/attention_decode_reference.ts";
import { attentionEach } from "../../engine/ops/attention_each.ts";
import { sharedPrefixes } from "../../engine/prefix_groups.ts";
import { ropeTable } from "../../engine/rope.ts";
import { assertWithin, normals } from "../../tests/test_gpu.ts";
import { type KernelCase, once, type PreparedCase } from "./case.ts";

const [HEADS, KV_HEADS, HEAD_DIM] = [9, 3, 64];

/** After 512 shared tokens each sequence brings one. */
export const ATTENTION_DECODE_CASES: readonly KernelCase[] = [
  decodeCase("attention/decode512", 512, 1),
  decodeCase("attention/decode512x64", 512, 64),
];

function decodeCase(name: string, keys: number, sequences: number): KernelCase {
  const many = sequences > 1;
  return {
    name,
    bound: many ? "fma" : "copy",
    // Two products a pair of query and key; for one sequence what counts is reading keys and values once.
    amount: many
      ? 4 * HEADS * HEAD_DIM * sequences * (keys + 1)
      : 2 * 4 * KV_HEADS * HEAD_DIM * keys,
    async prepare(gpu) {
      const [width, rows] = [KV_HEADS * HEAD_DIM, keys + sequences];
      const shape = { heads: HEADS, kvHeads: KV_HEADS, headDim: HEAD_DIM, rotaryDim: HEAD_DIM };
      const score = { scale: 1 / Math.sqrt(HEAD_DIM), window: null, softcap: null };
      const qkv = normals(4, sequences * (HEADS * HEAD_DIM + 2 * width));
      const [k, v] = [5, 6].map((seed) => normals(seed, rows * width));
      const rope = { theta: 10_000, rotaryDim: HEAD_DIM, scaling: { kind: "none" } } as const;
      const tables = ropeTable(rope, keys + 1);
      const info = Uint32Array.from(
        Array.from({ length: sequences }, (_, s) => [0, keys, keys + s, keys]).flat(),
      );
      // On software adapters keys and values are in textures, as far as a step finds them there.
      const software = gpu.profile === "software";
      const held = software && !many ? withHeld(info, Uint32Array.of(keys)) : info;
      const tensors = [qkv, k, v, tables, held].map((data) => gpu.tensorFrom(data, [data.length]));
      const out = gpu.tensor([sequences, HEADS * HEAD_DIM]);
      const state = gpu.tensor([sequences, HEADS, 2]);
      const [qkvAt, kAt, vAt, tablesAt, infoAt] = tensors.map(({ buffer }) => buffer);
      const sizes = [out, k, v, qkv].map(({ length }) => 4 * length);
      const textures = software ? sizes.map((bytes) => gpu.texels.acquire(bytes)!) : [];
      const texels = software ? { k: textures[1], v: textures[2] } : undefined;
      if (texels) {
        await once(gpu, (recorder) => {
          const all = Uint32Array.from({ length: rows }, (_, row) => row);
          keysToTexels(recorder, { rows: all, k: kAt, v: vAt, texels, width });
          const bytes = 4 * qkv.length;
          recorder.copyToTexels({ buffer: qkvAt, offset: 0, bytes, texture: textures[3] });
        });
      }
      const record: PreparedCase["record"] = (recorder) => {
        const args = {
          ...{ tables: tablesAt, info: infoAt, k: kAt, v: vAt, out: out.buffer },
          ...{ tokens: sequences, keys: keys + 1, ...shape, ...score },
        };
        if (!texels || !many) return attentionDecode(recorder, { ...args, qkv: qkvAt, texels });
        const shared = sharedPrefixes(recorder, info, HEADS / KV_HEADS);
        const at = { ...texels, q: textures[0], qkv: textures[3] };
        attentionEach(recorder, { ...args, texels: at, shared, state: state.buffer });
      };
      await once(gpu, record);
      // The last sequences' own rows are all that their tokens add to the cache.
      const sample = Math.max(0, sequences - 2);
      const inputs = {
        qkv: qkv.slice(sample * qkv.length / sequences),
        ...{ tables, info: info.slice(4 * sample), k, v },
      };
      const { out: expected } = attentionDecodeReference(inputs, { ...shape, ...score });
      assertWithin((await out.read()).subarray(sample * HEADS * HEAD_DIM), expected, name);
      const release = () => {
        for (const tensor of [...tensors, out, state]) tensor.release();
        for (const texture of textures) gpu.texels.release(texture);
      };
      return { record, checked: "float64 (the last tokens)", release };
    },
  };
}
