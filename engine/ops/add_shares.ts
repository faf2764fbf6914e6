/** What adapters add to the products of few rows, and what becomes of the sums, in one dispatch. */

import addSharesCode from "../../shaders/add_shares.wgsl" with { type: "text" };
import type { Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import { type Form, FORMS, isGated } from "./few_rows.ts";
import { elementGrid } from "./grid.ts";

/** The columns of one matrix's product, and the adapter on it, where there is one. */
export interface AdaptedPart {
  /** How many columns. */
  count: number;
  /** `scale · B low`: `b` `[count, rank]`, `first` the column of `low` from which on its `rank` columns lie. */
  share?: { b: WeightMatrix; first: number; scale: number };
}

/** What {@link addShares} reads and writes. */
export interface AddSharesArgs {
  /** `[rows, columns of all parts]` f32, the products; holds the result of `store`, and else is left as it was. */
  x: GPUBuffer;
  /** `[rows, lowWidth]` f32: what the factors A make of the products' input. */
  low: GPUBuffer;
  lowWidth: number;
  /** One to three; gates and what they let pass where an activation is asked for. */
  parts: readonly AdaptedPart[];
  /** `[rows, columns of all parts]` f32, or half as wide with an activation; not used by `store`. */
  out: GPUBuffer;
  rows: number;
  form: Form;
}

/** Whether {@link addShares} takes these parts: whole vec4s of factors of one dtype. */
export function fitsShares({ parts, form }: Pick<AddSharesArgs, "parts" | "form">): boolean {
  const shares = parts.flatMap(({ share }) => share ?? []);
  const alike = shares.every(({ b: { dtype, columns, windows }, first }) =>
    dtype === shares[0].b.dtype && columns % 8 === 0 && first % 8 === 0 && windows.length === 1
  );
  const paired = !isGated(form) || parts.length === 2 && parts[0].count === parts[1].count;
  return shares.length > 0 && parts.length <= 3 && alike && paired;
}

/** `matmul` of `low` with each B, added to the products, and `addInPlace` or `glu` where they are asked for: the same bits. */
export function addShares(recorder: Recorder, args: AddSharesArgs): void {
  const { x, low, lowWidth, parts, out, rows, form } = args;
  const { b } = parts.find(({ share }) => share)!.share!;
  const kernel = recorder.gpu.kernels.get("add_shares", addSharesCode, {
    WEIGHT_DTYPE: b.dtype,
    FORM: FORMS[form],
  });
  const three = [0, 1, 2].map((i): AdaptedPart => parts[i] ?? { count: 0 });
  const shares = three.map(({ share }) => share);
  const params = [
    ...three.map(({ count }) => u32(count)),
    u32(rows),
    ...shares.map((share) => u32(share?.b.columns ?? 0)),
    u32(lowWidth),
    ...shares.map((share) => u32(share?.first ?? 0)),
    u32(0),
    ...shares.map((share) => f32(share?.scale ?? 0)),
    f32(0),
  ];
  const width = isGated(form) ? parts[0].count : parts.reduce((sum, { count }) => sum + count, 0);
  // What is not read must be bound all the same.
  const factors = shares.map((share) => (share?.b ?? b).windows[0].buffer);
  const buffers = [low, ...factors, x, form === "store" ? recorder.gpu.unused.write : out];
  recorder.dispatch(kernel, buffers, params, elementGrid(rows * width));
}
