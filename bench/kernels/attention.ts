/** Attention in prefill, and in decoding with one and with many sequences. */

import { attention } from "../../engine/ops/attention.ts";
import { queryRuns } from "../../engine/query_runs.ts";
import { attentionReference } from "../../engine/ops/attention_reference.ts";
import { assertWithin, normals } from "../../tests/test_gpu.ts";
import { type KernelCase, once, type PreparedCase } from "./case.ts";

const [HEADS, KV_HEADS, HEAD_DIM] = [9, 3, 64];

interface Queries {
  /** Keys that every sequence has. */
  keys: number;
  sequences: number;
  /** The last so many tokens of each sequence ask. */
  queries: number;
}

/** Of 512 tokens all ask, or the last one does, of one sequence or of 64 that share their keys. */
export const ATTENTION_CASES: readonly KernelCase[] = [
  attentionCase("attention/prefill512", { keys: 512, sequences: 1, queries: 512 }),
  attentionCase("attention/decode512", { keys: 512, sequences: 1, queries: 1 }),
  attentionCase("attention/decode512x64", { keys: 512, sequences: 64, queries: 1 }),
];

function attentionCase(name: string, { keys, sequences, queries }: Queries): KernelCase {
  const positions = Array.from({ length: queries }, (_, i) => keys - queries + i);
  const pairs = sequences * positions.reduce((sum, position) => sum + position + 1, 0);
  const prefill = queries > 1;
  return {
    name,
    bound: prefill ? "fma" : "copy",
    // Two products a pair; in decoding what counts is reading keys and values once.
    amount: prefill ? 4 * HEADS * HEAD_DIM * pairs : 2 * 4 * KV_HEADS * HEAD_DIM * keys,
    async prepare(gpu) {
      const tokens = sequences * queries;
      const rows = (count: number, heads: number, seed: number) => {
        const values = normals(seed, count * heads * HEAD_DIM);
        return { values, tensor: gpu.tensorFrom(values, [values.length]) };
      };
      const [q, k, v] = [rows(tokens, HEADS, 4), rows(keys, KV_HEADS, 5), rows(keys, KV_HEADS, 6)];
      const info = Uint32Array.from(
        Array.from({ length: sequences }, () => positions.flatMap((p) => [0, keys, 0, p])).flat(),
      );
      const [out, places] = [gpu.tensor([q.values.length]), gpu.tensorFrom(info, [info.length])];
      const batch = {
        tokens,
        offsets: Uint32Array.from({ length: sequences + 1 }, (_, s) => s * queries),
        starts: new Uint32Array(sequences).fill(positions[0]),
      };
      const shape = { heads: HEADS, kvHeads: KV_HEADS, headDim: HEAD_DIM };
      const score = { scale: 1 / Math.sqrt(HEAD_DIM), window: null, softcap: null };
      const record: PreparedCase["record"] = (recorder) =>
        attention(recorder, {
          q: q.tensor.buffer,
          k: k.tensor.buffer,
          v: v.tensor.buffer,
          info: places.buffer,
          out: out.buffer,
          tokens,
          keys: Math.max(...positions) + 1,
          runs: queryRuns(recorder, batch, info),
          ...shape,
          ...score,
        });
      await once(gpu, record);
      const width = HEADS * HEAD_DIM;
      const sample = Math.max(0, tokens - 2);
      const reference = attentionReference(
        q.values.subarray(sample * width),
        k.values,
        v.values,
        info.slice(4 * sample),
        { ...shape, ...score },
      );
      assertWithin((await out.read()).subarray(sample * width), reference, name);
      const release = () => {
        for (const tensor of [q.tensor, k.tensor, v.tensor, out, places]) tensor.release();
      };
      return { record, checked: "float64 (the last tokens)", release };
    },
  };
}
