/** Products of few rows, with the norm before and what is done with them after in the same dispatch. */

import fewRowsCode from "../../shaders/few_rows.wgsl" with { type: "text" };
import type { Gpu } from "../gpu/gpu.ts";
import { foldGrid, type Recorder } from "../gpu/recorder.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import type { PackedMatrix } from "../weights/packed.ts";
import { CHUNK, MOST_TURNS } from "./grid.ts";
import type { Activation } from "./rows.ts";

/** Rows up to which {@link fewRows} is the fastest way; more of them go by `manyRows`, with the norm apart. */
const FEW_ROWS = 4;

/** Whether {@link fewRows} is for so many rows: its products are those of f32. */
export function takesFew({ precision }: Gpu, rows: number): boolean {
  return rows <= FEW_ROWS && precision === "f32";
}

/** What becomes of a product; see few_rows.wgsl. */
export type Form = "store" | "add" | Activation;

/** How the shaders name them. */
export const FORMS: Record<Form, number> = { store: 0, add: 1, silu: 2, gelu_tanh: 3 };

/** Whether half of the columns are gates of the other half, so that the result is half as wide. */
export function isGated(form: Form): form is Activation {
  return form !== "store" && form !== "add";
}

/** What a sublayer adds to the residual stream through a norm of its own. */
export interface AddedNorm {
  kind: "normed";
  /** What goes through the norm, `[rows, columns of W]` f32. */
  y: GPUBuffer;
  /** The norm's, `[columns of W]` f32. */
  weight: GPUBuffer;
}

/** What an edit adds to it: one vector, by a coefficient for each row. */
export interface AddedVector {
  kind: "vector";
  /** `[columns of W]` f32. */
  vector: GPUBuffer;
  /** Of all rows, in order, as edit.wgsl has them. */
  entries: GPUBuffer;
}

/** What is to be added to the residual stream. */
export type Addend = AddedNorm | AddedVector;

/** The same with a buffer that gets the residual stream with it. */
export type Join = Addend & { sum: GPUBuffer };

/** How the shaders name what is joined, and their buffers for it, in the order of their bindings. */
export function joinedBuffers(
  { unused }: Gpu,
  join: Join | undefined,
): { JOIN: number; buffers: GPUBuffer[] } {
  // What is not read must be bound all the same.
  if (!join) return { JOIN: 0, buffers: [unused.read, unused.read, unused.write] };
  return join.kind === "normed"
    ? { JOIN: 1, buffers: [join.y, join.weight, join.sum] }
    : { JOIN: 2, buffers: [join.vector, join.entries, join.sum] };
}

/** What {@link fewRows} reads and writes. */
export interface FewRowsArgs {
  /** `[rows, columns of W]` f32. */
  x: GPUBuffer;
  /** What is added to `x` before all else; what goes through a norm of its own has the `eps` of `norm`. */
  join?: Join;
  /** Of `x`, before the product. */
  norm?: { weight: GPUBuffer; eps: number };
  weight: PackedMatrix;
  /** `[rows, rows of W]` f32, or half as wide where an activation's gates and what they let pass are stacked. */
  out: GPUBuffer;
  rows: number;
  form: Form;
}

/** What joins the rows, `rmsnorm`, `matmul`, `addBias`, and `addInPlace` or `glu`, as far as they are asked for: the same bits. */
export function fewRows(recorder: Recorder, args: FewRowsArgs): void {
  const { gpu } = recorder;
  const { x, join, norm, weight: { texture, dtype, rows: n, columns: k, bias }, out, rows, form } =
    args;
  if (join && !norm) throw new Error("What is joined to a residual stream has the norm's eps");
  const { JOIN, buffers: joined } = joinedBuffers(gpu, join);
  const gated = isGated(form);
  const ROWS = rows <= 1 ? 1 : rows <= 2 ? 2 : 4;
  const high = Math.ceil(rows / ROWS);
  const SIDES = gpu.lanes / 8;
  const across = (blocks: number) => Math.ceil(n / (32 * blocks * SIDES));
  // With more of them a thread loads less, but every core should have some.
  const BLOCKS = [4, 2].find((blocks) => high * across(blocks) >= LEAST_GROUPS) ?? (gated ? 2 : 1);
  const PARTIALS = norm ? 2 ** Math.ceil(Math.log2(ROWS * Math.ceil(k / CHUNK))) : 1;
  const groups = { high, across: across(BLOCKS) };
  const { turns, segment } = columnTurns(gpu, { ROWS, PARTIALS, k, normed: !!norm, ...groups });
  const kernel = gpu.kernels.get("few_rows", fewRowsCode, {
    ROWS,
    SIDES,
    BLOCKS,
    WEIGHT_DTYPE: dtype,
    NORM: norm ? 1 : 0,
    JOIN,
    BIAS: bias && form === "store" ? 1 : 0,
    FORM: FORMS[form],
    PARTIALS,
    ...segment && { SEGMENT: segment },
  });
  const buffers = [x, norm?.weight ?? x, bias ?? x, texture, out, ...joined];
  const params = [u32(rows), u32(n), u32(k), f32(norm?.eps ?? 0), u32(turns), u32(0)];
  recorder.dispatch(kernel, buffers, params, foldGrid(high * Math.ceil(across(BLOCKS) / turns)));
}

/** Workgroups that keep the cores of a small machine busy. */
const LEAST_GROUPS = 4;
/** Workgroups a core that are enough where each takes several groups of columns in turn. */
const GROUPS_OF_CORE = 4;

/** A product of {@link fewRows}: `high` times `across` groups of rows and columns. */
interface Groups {
  ROWS: number;
  PARTIALS: number;
  k: number;
  normed: boolean;
  high: number;
  across: number;
}

/**
 * How many groups of columns a workgroup takes in turn, so that what it makes of the rows first serves them all; and how many
 * numbers of each row it then keeps, where those are not the kernel's own.
 */
export function columnTurns(
  { cores, limits }: Pick<Gpu, "cores" | "limits">,
  { ROWS, PARTIALS, k, normed, high, across }: Groups,
): { turns: number; segment?: number } {
  const whole = Math.ceil(k / CHUNK) * CHUNK;
  const fits = 4 * (ROWS * whole + PARTIALS + 8) <= limits.maxComputeWorkgroupStorageSize;
  if (!fits && !normed) return { turns: 1 };
  // Of the loops over columns, and over the rows where they are brought again for each group.
  const loops = 2 + k / 8 + Math.ceil(k / CHUNK) + (fits ? 0 : ROWS * k / 32 + k / 128);
  const wanted = Math.ceil(high * across / (GROUPS_OF_CORE * cores));
  const turns = Math.max(1, Math.min(across, wanted, Math.floor(MOST_TURNS / loops)));
  return turns > 1 && fits ? { turns, segment: whole } : { turns };
}
