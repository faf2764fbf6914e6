/** What is timed for each class of sizes: small jobs such as models bring. */

import { storedMatrix } from "../audit/stored.ts";
import { packBatch } from "../batch.ts";
import { fusedProduct } from "../fused_product.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import { classKey, type KnobName } from "../gpu/tuning.ts";
import { attention } from "../ops/attention.ts";
import { matmul } from "../ops/matmul.ts";
import { bindsFused } from "../ops/matvec_fused.ts";
import { kthLargest, softmaxRows } from "../ops/ranking.ts";
import { rmsnorm } from "../ops/rows.ts";
import { queryRuns } from "../query_runs.ts";

/** A job whose time tells which choice is the best for a class. */
export interface Workload {
  knob: KnobName;
  /** Of the class; see {@link classKey}. */
  key: string;
  /** In words. */
  label: string;
  prepare(gpu: Gpu): Promise<Prepared>;
}

/** A job with its buffers. */
export interface Prepared {
  record(recorder: Recorder): void;
  /** What it writes, to be compared bit by bit. */
  results: readonly DeviceTensor[];
  release(): void;
}

/** Everything that is tuned on a device, what matters most first; `quick` is a few of them, to see that it works. */
export function workloads(
  { profile, limits }: Pick<Gpu, "profile" | "limits">,
  quick = false,
): Workload[] {
  const joins = profile !== "software" && bindsFused(limits);
  if (quick) {
    const joined = joins ? [afterSublayer(1, [512, 512])] : [];
    return [product(96, [512, 512]), ...joined, queries(96), norms(192), vocabulary(4096)];
  }
  // A CPU takes seconds for what fills a GPU.
  const large: [number, number] = profile === "software" ? [1536, 1024] : [4096, 2048];
  const rows = [profile === "software" ? 512 : 2048, 256, 1, 96, 48, 24, 16, 8, 4, 2];
  const few = joins ? [1, 4, 8, 2] : [];
  return [
    ...rows.map((count) => product(count, [512, 512])),
    ...[512, 192, 96, 48, 24].map(queries),
    ...few.map((count) => afterSublayer(count, [1536, 1152])),
    ...[192, 768, 2048].map(norms),
    ...[4096, 32_768, 151_936].map(vocabulary),
    ...rows.map((count) => product(count, large)),
    ...few.map((count) => afterSublayer(count, [13_824, 1152])),
  ];
}

function product(rows: number, [n, k]: [number, number]): Workload {
  return {
    knob: "matmul",
    key: classKey("matmul", rows, n * k),
    label: `${rows} × ${n} × ${k}`,
    async prepare(gpu) {
      const owned: GPUBuffer[] = [];
      const weight = await storedMatrix(gpu, values(n * k), [n, k], "BF16", owned);
      const [x, y] = [gpu.tensorFrom(values(rows * k), [rows, k]), gpu.tensor([rows, n])];
      return {
        record: (recorder) => matmul(recorder, { x: x.buffer, weight, y: y.buffer, rows }),
        results: [y],
        release() {
          for (const tensor of [x, y]) tensor.release();
          for (const buffer of owned) gpu.buffers.destroy(buffer);
        },
      };
    },
  };
}

/** What stands between a sublayer's last product and the next one where a norm comes after the sublayer, on GPUs. */
function afterSublayer(rows: number, [n, k]: [number, number]): Workload {
  return {
    knob: "sublayer_norm",
    key: classKey("sublayer_norm", rows, n * k),
    label: `${rows} × ${n} × ${k}`,
    async prepare(gpu) {
      const owned: GPUBuffer[] = [];
      const weight = await storedMatrix(gpu, values(n * k), [n, k], "BF16", owned);
      const [before, y] = [1, 2].map(() => gpu.tensorFrom(values(rows * k), [rows, k]));
      const [after, norm] = [1, 2].map(() => gpu.tensorFrom(values(k), [k]));
      const [x, sum, out] = [k, k, n].map((width) => gpu.tensor([rows, width]));
      const eps = 1e-5;
      const stack = { linears: [{ weight }] };
      const product = {
        ...{ stack, norm: { weight: norm.buffer, eps }, out: out.buffer, rows },
        form: "store",
      } as const;
      const added = { kind: "normed", y: y.buffer, weight: after.buffer } as const;
      const join = { ...added, sum: sum.buffer };
      return {
        record(recorder) {
          recorder.copy(before.buffer, 0, x.buffer, 0, 4 * rows * k);
          if (fusedProduct(recorder, { ...product, x: x.buffer, join })) return;
          const summed = { x: y.buffer, weight: after.buffer, out: x.buffer, add: true };
          rmsnorm(recorder, { ...summed, rows, width: k, eps });
          fusedProduct(recorder, { ...product, x: x.buffer });
        },
        results: [out],
        release() {
          for (const tensor of [before, y, after, norm, x, sum, out]) tensor.release();
          for (const buffer of owned) gpu.buffers.destroy(buffer);
        },
      };
    },
  };
}

const [HEADS, KV_HEADS, HEAD_DIM] = [8, 4, 64];

function queries(tokens: number): Workload {
  return {
    knob: "attention",
    key: classKey("attention", tokens),
    label: `${tokens} tokens`,
    prepare(gpu) {
      const limits = { vocabSize: 1, maxPositions: tokens };
      const batch = packBatch([new Array<number>(tokens).fill(0)], limits);
      const of = (heads: number) =>
        gpu.tensorFrom(values(tokens * heads * HEAD_DIM), [tokens, heads * HEAD_DIM]);
      const [q, k, v] = [of(HEADS), of(KV_HEADS), of(KV_HEADS)];
      const info = gpu.tensorFrom(batch.info, [tokens, 4]);
      const out = gpu.tensor(q.shape);
      const buffers = { q: q.buffer, k: k.buffer, v: v.buffer, info: info.buffer, out: out.buffer };
      const sizes = { tokens, heads: HEADS, kvHeads: KV_HEADS, headDim: HEAD_DIM, keys: tokens };
      const score = { scale: 1 / Math.sqrt(HEAD_DIM), window: null, softcap: null };
      return Promise.resolve({
        record(recorder) {
          const runs = queryRuns(recorder, batch, batch.info);
          attention(recorder, { ...buffers, ...sizes, ...score, runs });
        },
        results: [out],
        release: () => [q, k, v, info, out].forEach((tensor) => tensor.release()),
      });
    },
  };
}

/** Of a prefill's rows, and of single ones. */
function norms(width: number): Workload {
  const rows = 256;
  return {
    knob: "row_block",
    key: classKey("row_block", width),
    label: `rows of ${width}`,
    prepare(gpu) {
      const x = gpu.tensorFrom(values(rows * width), [rows, width]);
      const weight = gpu.tensorFrom(values(width), [width]);
      const [out, single] = [gpu.tensor([rows, width]), gpu.tensor([1, width])];
      const args = { x: x.buffer, weight: weight.buffer, width, eps: 1e-5 };
      return Promise.resolve({
        record(recorder) {
          rmsnorm(recorder, { ...args, out: out.buffer, rows });
          for (let i = 0; i < 8; i++) rmsnorm(recorder, { ...args, out: single.buffer, rows: 1 });
        },
        results: [out, single],
        release: () => [x, weight, out, single].forEach((tensor) => tensor.release()),
      });
    },
  };
}

/** What ranking and sampling do with logits. */
function vocabulary(width: number): Workload {
  const rows = 4;
  return {
    knob: "long_row",
    key: classKey("long_row", 3 * width),
    label: `vocabulary of ${width}`,
    prepare(gpu) {
      const logits = gpu.tensorFrom(values(rows * width), [rows, width]);
      const [x, best] = [gpu.tensor([rows, width]), gpu.tensor([rows, 2])];
      return Promise.resolve({
        record(recorder) {
          recorder.copy(logits.buffer, 0, x.buffer, 0, 4 * rows * width);
          const thresholds = kthLargest(recorder, x, 20);
          recorder.copy(thresholds.buffer, 0, best.buffer, 0, 8 * rows);
          thresholds.release();
          softmaxRows(recorder, x);
        },
        results: [x, best],
        release: () => [logits, x, best].forEach((tensor) => tensor.release()),
      });
    },
  };
}

/** Numbers between −1 and 1 that look like nothing. */
function values(count: number): Float32Array<ArrayBuffer> {
  let state = 1;
  return Float32Array.from(
    { length: count },
    () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 31 - 1,
  );
}
