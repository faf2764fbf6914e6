/** Products of one row, or a few, with weights as they are stored, and what stands around them in a block: for GPUs. */

import matvecFusedCode from "../../shaders/matvec_fused.wgsl" with { type: "text" };
import type { Gpu } from "../gpu/gpu.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import { type FewRowsArgs, FORMS, isGated, joinedBuffers } from "./few_rows.ts";
import { CHUNK } from "./grid.ts";
import { LANE_ROWS, laneShape, THREADS } from "./matmul.ts";

/** What {@link matvecFused} reads and writes. */
export interface MatvecFusedArgs extends Omit<FewRowsArgs, "weight"> {
  /** One to three with the same columns and dtype, stacked; gates and ups where an activation is asked for. */
  weights: readonly WeightMatrix[];
  /** `[rows of all weights]` f32, for `store`. */
  bias?: GPUBuffer;
}

/** Partial sums of the norm, 4 KiB: with the tile and what is beside it they stay within the 16 KiB that every adapter has. */
const MOST_PARTIALS = 1024;

/** Storage buffers that the kernel binds, two more than every adapter has; those with fewer go step by step. */
const STORAGE_BUFFERS = 10;

/** The products that {@link matvecFused} is asked for. */
type Asked = Pick<MatvecFusedArgs, "weights" | "rows" | "norm" | "form">;

/** Whether {@link matvecFused} takes these products, and is the fastest way that is known. */
export function fitsFused(
  { precision, profile, tuning, limits }: Pick<Gpu, "precision" | "profile" | "tuning" | "limits">,
  asked: Asked,
): boolean {
  const [{ columns, rows: first }] = asked.weights;
  const chosen = tuning.choice("matmul", asked.rows, first * columns) ?? "lanes";
  const wanted = profile !== "software" && precision === "f32" && asked.rows <= LANE_ROWS &&
    (chosen === "lanes" || chosen === "subgroups");
  return wanted && takesFused({ limits }, asked);
}

/** Whether {@link matvecFused} takes these products, be it the fastest way or not. */
export function takesFused(
  { limits }: Pick<Gpu, "limits">,
  { weights, rows, norm, form }: Asked,
): boolean {
  const [{ dtype, columns, rows: first }] = weights;
  const alike = weights.every((weight) =>
    weight.dtype === dtype && weight.columns === columns && weight.windows.length === 1
  );
  const gated = isGated(form);
  const fits = gated ? weights.length === 2 && weights[1].rows === first : weights.length <= 3;
  const { ROWS } = laneShape(rows, columns);
  const sums = norm ? ROWS * Math.ceil(columns / CHUNK) : 0;
  return alike && fits && columns % 8 === 0 && sums <= MOST_PARTIALS &&
    bindsFused(limits);
}

/** Whether the adapter has as many bindings as {@link matvecFused} takes. */
export function bindsFused(limits: Gpu["limits"]): boolean {
  return limits.maxStorageBuffersPerShaderStage >= STORAGE_BUFFERS;
}

/** What joins the rows, `rmsnorm`, `matmul`, `addBias`, and `addInPlace` or `glu`, as far as they are asked for, where {@link takesFused}: the same bits. */
export function matvecFused(recorder: Recorder, args: MatvecFusedArgs): void {
  const { x, join, norm, weights, bias, out, rows, form } = args;
  if (join && !norm) throw new Error("What is joined to a residual stream has the norm's eps");
  const [{ dtype, columns: k }] = weights;
  const { ROWS, LANES } = laneShape(rows, k);
  const gated = isGated(form);
  const sums = norm ? ROWS * Math.ceil(k / CHUNK) : 0;
  const { JOIN, buffers: joined } = joinedBuffers(recorder.gpu, join);
  const kernel = recorder.gpu.kernels.get("matvec_fused", matvecFusedCode, {
    WEIGHT_DTYPE: dtype,
    ROWS,
    LANES,
    NORM: norm ? 1 : 0,
    JOIN,
    BIAS: bias && form === "store" ? 1 : 0,
    FORM: FORMS[form],
    PARTIALS: Math.max(ROWS * THREADS, 2 ** Math.ceil(Math.log2(sums))),
  });
  const counts = [0, 1, 2].map((i) => weights[i]?.rows ?? 0);
  const n = gated ? counts[0] : counts.reduce((sum, count) => sum + count, 0);
  const columns = THREADS / LANES / (gated ? 2 : 1);
  // What is not read must be bound all the same.
  const stored = [0, 1, 2].map((i) => (weights[i] ?? weights[0]).windows[0].buffer);
  const buffers = [x, norm?.weight ?? x, ...stored, bias ?? x, out, ...joined];
  const params = [u32(rows), u32(k), ...counts.map(u32), f32(norm?.eps ?? 0), u32(0)];
  const groups = Math.ceil(rows / ROWS) * Math.ceil(n / columns);
  recorder.dispatch(kernel, buffers, params, foldGrid(groups));
}
