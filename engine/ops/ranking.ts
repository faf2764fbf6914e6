/** Probabilities over a vocabulary, and the largest of them. */

import intersectMeanCode from "../../shaders/intersect_mean.wgsl" with { type: "text" };
import kthLargestCode from "../../shaders/kth_largest.wgsl" with { type: "text" };
import softmaxCode from "../../shaders/softmax.wgsl" with { type: "text" };
import topKCode from "../../shaders/top_k.wgsl" with { type: "text" };
import type { DeviceTensor } from "../gpu/tensor.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { u32 } from "../gpu/uniforms.ts";
import { elementGrid, longRowLanes } from "./grid.ts";
import { overLongRows } from "./long_rows.ts";

/** One entry of a ranking: an index into the row, such as a token id, and its value. */
export interface Ranked {
  id: number;
  value: number;
}

/** Softmax of `[rows, width]`, in place. */
export function softmaxRows(recorder: Recorder, x: DeviceTensor): void {
  const [rows, width] = x.shape;
  const kernel = recorder.gpu.kernels.get(
    "softmax",
    softmaxCode,
    longRowLanes(recorder.gpu, 3 * width),
  );
  recorder.dispatch(kernel, [x.buffer], [u32(rows), u32(width)], foldGrid(rows));
}

/**
 * Thresholds `[rows, 2]` of the `k` largest of each row; see kth_largest.wgsl.
 *
 * @param k one number, or one for each row, of which 0 keeps everything; it is cut to the width
 */
export function kthLargest(
  recorder: Recorder,
  x: DeviceTensor,
  k: number | readonly number[],
): DeviceTensor {
  const [rows, width] = x.shape;
  const each = typeof k === "number" ? new Array<number>(rows).fill(k) : k;
  const ks = recorder.upload(Uint32Array.from(each, (k) => Math.min(k, width)));
  const out = recorder.gpu.tensor([rows, 2]);
  const buffers = [ks, out.buffer];
  overLongRows(recorder, "kth_largest", kthLargestCode, { x, visits: 4, buffers });
  return out;
}

/** The `k` largest of each row of `x` `[rows, width]`, as `[rows, k, 2]`: to be read by {@link readTopK}. */
export function topK(recorder: Recorder, x: DeviceTensor, k: number): DeviceTensor {
  const [rows, width] = x.shape;
  const count = Math.min(k, width);
  const thresholds = kthLargest(recorder, x, count);
  const out = recorder.gpu.tensor([rows, count, 2]);
  const buffers = [thresholds.buffer, out.buffer];
  overLongRows(recorder, "top_k", topKCode, { x, visits: 2, buffers, params: [u32(count)] });
  thresholds.release();
  return out;
}

/** Unpacks what {@link topK} left: for each row its entries, largest first, equal ones by rising id. */
export function unpackTopK(data: ArrayBuffer, shape: readonly number[]): Ranked[][] {
  const [rows, count] = shape;
  const ids = new Uint32Array(data);
  const values = new Float32Array(data);
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: count }, (_, i) => {
      const at = 2 * (row * count + i);
      return { id: ids[at], value: values[at + 1] };
    }).sort((a, b) => b.value - a.value || a.id - b.id));
}

/**
 * Means over groups of `prompts` consecutive rows of `x` `[groups · prompts, width]`, 0 where a token is not among
 * the `k` largest of every row of its group.
 */
export function intersectMean(
  recorder: Recorder,
  x: DeviceTensor,
  prompts: number,
  k: number,
): DeviceTensor {
  const [rows, width] = x.shape;
  const groups = rows / prompts;
  const thresholds = kthLargest(recorder, x, k);
  const out = recorder.gpu.tensor([groups, width]);
  const kernel = recorder.gpu.kernels.get("intersect_mean", intersectMeanCode);
  const params = [u32(groups), u32(prompts), u32(width)];
  const buffers = [x.buffer, thresholds.buffer, out.buffer];
  recorder.dispatch(kernel, buffers, params, elementGrid(groups * width));
  thresholds.release();
  return out;
}
