/** Attention in prefill. */

import { attention } from "../../engine/ops/attention.ts";
import { queryRuns } from "../../engine/query_runs.ts";
import { attentionReference } from "../../engine/ops/attention_reference.ts";
import { assertWithin, normals } from "../../tests/test_gpu.ts";
import { type KernelCase, once, type PreparedCase } from "./case.ts";

const [HEADS, KV_HEADS, HEAD_DIM] = [9, 3, 64];

/** Of 512 tokens all ask. */
export const ATTENTION_CASES: readonly KernelCase[] = [prefillCase("attention/prefill512", 512)];

function prefillCase(name: string, tokens: number): KernelCase {
  return {
    name,
    bound: "fma",
    // Two products a pair of query and key.
    amount: 4 * HEADS * HEAD_DIM * tokens * (tokens + 1) / 2,
    async prepare(gpu) {
      const rows = (count: number, heads: number, seed: number) => {
        const values = normals(seed, count * heads * HEAD_DIM);
        return { values, tensor: gpu.tensorFrom(values, [values.length]) };
      };
      const [q, k, v] = [
        rows(tokens, HEADS, 4),
        rows(tokens, KV_HEADS, 5),
        rows(tokens, KV_HEADS, 6),
      ];
      const info = Uint32Array.from({ length: 4 * tokens }, (_, i) => i % 4 < 3 ? 0 : i >> 2);
      const [out, places] = [gpu.tensor([q.values.length]), gpu.tensorFrom(info, [info.length])];
      const batch = {
        tokens,
        offsets: Uint32Array.of(0, tokens),
        starts: Uint32Array.of(0),
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
          keys: tokens,
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
