/** Kernels that work on rows of features, or on each element: norms, edits, copies, sums and activations. */

import addCode from "../../shaders/add.wgsl" with { type: "text" };
import addBiasCode from "../../shaders/add_bias.wgsl" with { type: "text" };
import copyRowsCode from "../../shaders/copy_rows.wgsl" with { type: "text" };
import editCode from "../../shaders/edit.wgsl" with { type: "text" };
import gluCode from "../../shaders/glu.wgsl" with { type: "text" };
import projectCode from "../../shaders/project.wgsl" with { type: "text" };
import rmsnormCode from "../../shaders/rmsnorm.wgsl" with { type: "text" };
import rmsnormTexelCode from "../../shaders/rmsnorm_texel.wgsl" with { type: "text" };
import rmsnormVec4Code from "../../shaders/rmsnorm_vec4.wgsl" with { type: "text" };
import rowNormCode from "../../shaders/row_norm.wgsl" with { type: "text" };
import rowNormVec4Code from "../../shaders/row_norm_vec4.wgsl" with { type: "text" };
import softcapCode from "../../shaders/softcap.wgsl" with { type: "text" };
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { isTexture } from "../gpu/texels.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import { elementGrid, rowBlock } from "./grid.ts";

/**
 * `out[r] = weight · x[r] / rms(x[r])`, or that much more with `add`, as {@link addInPlace} would have it after the norm, bit by
 * bit: `x`, `out` `[rows, width]`, two buffers; `weight` `[width]`.
 */
export function rmsnorm(
  recorder: Recorder,
  args: {
    x: GPUBuffer;
    weight: GPUBuffer;
    out: GPUBuffer;
    rows: number;
    width: number;
    eps: number;
    add?: boolean;
  },
): void {
  const { x, weight, out, rows, width, eps, add = false } = args;
  const block = rowBlock(recorder.gpu, width);
  const { kernels } = recorder.gpu;
  const constants = { ...block, ...(add && { ADD: 1 }) };
  const kernel = width % 4 === 0
    ? kernels.get("rmsnorm_vec4", rmsnormVec4Code, constants)
    : kernels.get("rmsnorm", rmsnormCode, constants);
  const params = [u32(rows), u32(width), f32(eps), u32(0)];
  recorder.dispatch(kernel, [x, weight, out], params, foldGrid(Math.ceil(rows / block.ROWS)));
}

/** The same from a buffer or a texture into another texture, in rows of 1,024 texels; for software adapters: `width` a multiple of 4. */
export function normToTexels(
  recorder: Recorder,
  args: {
    x: GPUBuffer | GPUBufferBinding | GPUTexture;
    weight: GPUBuffer;
    out: GPUTexture;
    rows: number;
    width: number;
    eps: number;
  },
): void {
  const { x, weight, out, rows, width, eps } = args;
  const { kernels, unused } = recorder.gpu;
  const texels = isTexture(x) ? x : undefined;
  const kernel = kernels.get("rmsnorm_texel", rmsnormTexelCode, { TEXELS: texels ? 1 : 0 });
  const params = [u32(rows), u32(width / 4), f32(eps)];
  const buffers = [isTexture(x) ? unused.read : x, weight, texels ?? unused.texels, out];
  recorder.dispatch(kernel, buffers, params, foldGrid(Math.ceil(rows / 16)));
}

/** `out[r] = ‖x[r]‖₂`: `x` `[rows, width]`, `out` `[rows]`. */
export function rowNorm(
  recorder: Recorder,
  args: { x: GPUBuffer; out: GPUBuffer; rows: number; width: number },
): void {
  const { x, out, rows, width } = args;
  const { kernels } = recorder.gpu;
  const block = rowBlock(recorder.gpu, width);
  const kernel = width % 4 === 0
    ? kernels.get("row_norm_vec4", rowNormVec4Code, block)
    : kernels.get("row_norm", rowNormCode, block);
  const params = [u32(rows), u32(width)];
  recorder.dispatch(kernel, [x, out], params, foldGrid(Math.ceil(rows / block.ROWS)));
}

/** Rows and what is done to each: `entries` `[count]` of (row, vector, coefficient bits, 0). */
export interface EditArgs {
  x: GPUBuffer;
  vectors: GPUBuffer;
  entries: GPUBuffer;
  count: number;
  width: number;
}

/** `x[r] ← x[r] + c·v`, or `x[r] ← c·v`, in place. */
export function editRows(recorder: Recorder, op: "add" | "replace", args: EditArgs): void {
  const { x, vectors, entries, count, width } = args;
  const kernel = recorder.gpu.kernels.get("edit", editCode, { MODE: op === "add" ? 0 : 1 });
  recorder.dispatch(
    kernel,
    [entries, vectors, x],
    [u32(count), u32(width)],
    elementGrid(count * width),
  );
}

/**
 * `x[r] ← x[r] + (c − ⟨x[r], v⟩)·v`, in place; every `v` has length 1. With `others` `[·, width]`, `c` is the component of
 * one of its rows, which entries then name in the coefficient's place.
 */
export function projectRows(recorder: Recorder, args: EditArgs & { others?: GPUBuffer }): void {
  const { x, vectors, entries, others, count, width } = args;
  const block = rowBlock(recorder.gpu, width);
  const constants = { MODE: others ? 1 : 0, ...block };
  const kernel = recorder.gpu.kernels.get("project", projectCode, constants);
  const grid = foldGrid(Math.ceil(count / block.ROWS));
  // What is not read must be bound all the same.
  const buffers = [entries, vectors, x, others ?? vectors];
  recorder.dispatch(kernel, buffers, [u32(count), u32(width)], grid);
}

/** `out[to] = x[from]` for `count` pairs `(from, to)`. */
export function copyRows(
  recorder: Recorder,
  args: { pairs: GPUBuffer; x: GPUBuffer; out: GPUBuffer; count: number; width: number },
): void {
  const { pairs, x, out, count, width } = args;
  const kernel = recorder.gpu.kernels.get("copy_rows", copyRowsCode);
  recorder.dispatch(kernel, [pairs, x, out], [u32(count), u32(width)], elementGrid(count * width));
}

/** `x ← x + y`, element by element. */
export function addInPlace(recorder: Recorder, x: GPUBuffer, y: GPUBuffer, count: number): void {
  const kernel = recorder.gpu.kernels.get("add", addCode);
  recorder.dispatch(kernel, [y, x], [u32(count)], elementGrid(count));
}

/** Columns of a wider matrix: `width` of them from `first` on belong to what is written. */
export interface Columns {
  /** Of the whole matrix. */
  stride: number;
  first: number;
}

/** `x[r] ← x[r] + bias`, in place: `x` `[rows, width]`, or those columns of a wider matrix; `bias` `[width]`. */
export function addBias(
  recorder: Recorder,
  args: { x: GPUBuffer; bias: GPUBuffer; rows: number; width: number; columns?: Columns },
): void {
  const { x, bias, rows, width, columns = { stride: width, first: 0 } } = args;
  const kernel = recorder.gpu.kernels.get("add_bias", addBiasCode);
  const params = [u32(rows), u32(width), u32(columns.stride), u32(columns.first)];
  recorder.dispatch(kernel, [bias, x], params, elementGrid(rows * width));
}

/** What a gated feed-forward layer puts its gate through; `gelu_tanh` is the tanh approximation of GELU. */
export type Activation = "silu" | "gelu_tanh";

/** `gate ← act(gate)·up`, element by element. */
export function glu(
  recorder: Recorder,
  gate: GPUBuffer,
  up: GPUBuffer,
  count: number,
  activation: Activation,
): void {
  const constants = { ACTIVATION: activation === "silu" ? 0 : 1 };
  const kernel = recorder.gpu.kernels.get("glu", gluCode, constants);
  recorder.dispatch(kernel, [up, gate], [u32(count)], elementGrid(count));
}

/** `x ← cap·tanh(x / cap)`, element by element. */
export function softcap(recorder: Recorder, x: GPUBuffer, count: number, cap: number): void {
  const kernel = recorder.gpu.kernels.get("softcap", softcapCode);
  recorder.dispatch(kernel, [x], [u32(count), f32(cap)], elementGrid(count));
}
