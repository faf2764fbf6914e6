/** Edits of activations: from what a caller asks to the entries that the kernels take. */

import { type Batch, rowsAt } from "./batch.ts";
import { UsageError } from "./errors.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { type ComponentEdit, type Edit, type HookEdit, hookOrder, hookWidth } from "./hooks.ts";
import type { ModelSpec } from "./model_spec.ts";
import type { AddedVector } from "./ops/few_rows.ts";
import { editRows, projectRows } from "./ops/rows.ts";

/**
 * Records one edit of `x` `[rows, width]`, in place. `held` are the batch rows that `x` has, all of them when absent.
 *
 * @throws {UsageError} when a vector's length is not the hook's width, or a list does not have one entry a sequence
 */
export function applyEdit(
  recorder: Recorder,
  spec: ModelSpec,
  batch: Batch,
  edit: HookEdit,
  x: GPUBuffer,
  held?: readonly number[],
): void {
  const width = hookWidth(spec, edit.hook);
  const placeOf = held && new Map(held.map((row, place) => [row, place]));
  const find = placeOf ? (row: number) => placeOf.get(row) : (row: number) => row;
  const planned = edit.op === "component"
    ? planComponents(batch, edit, width, find)
    : planVector(batch, edit, width, find);
  const { entries } = planned;
  if (entries.length === 0) return;
  const args = { x, ...placed(recorder, edit, planned), count: entries.length / 4, width };
  if (edit.op === "add" || edit.op === "replace") return editRows(recorder, edit.op, args);
  const others = edit.op === "component" ? edit.from?.tensor.buffer : undefined;
  projectRows(recorder, { ...args, others });
}

/** An edit that adds one vector to every row, for the residual stream to get later; undefined for any other. */
export function addedVector(
  recorder: Recorder,
  spec: ModelSpec,
  batch: Batch,
  edit: HookEdit,
): AddedVector | undefined {
  if (edit.op !== "add") return undefined;
  const planned = planVector(batch, edit, hookWidth(spec, edit.hook), (row) => row);
  if (planned.entries.length < 4 * batch.tokens) return undefined;
  const { vectors: vector, entries } = placed(recorder, edit, planned);
  return { kind: "vector", vector, entries };
}

/**
 * Fails for an edit that no batch of the model can have.
 *
 * @throws {UsageError} for an unknown hook, a vector that is not of its width, or one of no length to project along
 */
export function checkEdit(spec: ModelSpec, edit: Edit): void {
  hookOrder(spec, edit.hook);
  checkWidth(edit, edit.vector, hookWidth(spec, edit.hook));
  if (edit.op === "project") unit(edit.vector);
}

/** The edits of a batch that holds these sequences of the request, in this order. */
export function editsOf<E extends HookEdit>(
  edits: readonly E[],
  sequences: readonly number[],
): E[] {
  const pick = <T>(values: readonly T[]) => sequences.map((s) => values[s]);
  return edits.map((edit) => {
    if (edit.op === "component") {
      const { from } = edit;
      const rows = from && { ...from, firstRows: pick(from.firstRows) };
      return { ...edit, vectors: pick(edit.vectors), from: rows };
    }
    const { scale } = edit;
    return typeof scale === "object" ? { ...edit, scale: pick(scale) } : edit;
  });
}

/** Four words for each row that is edited: where it lies, which vector, the coefficient's bits or its row, 0. */
interface Planned {
  entries: number[];
  vectors: Float32Array<ArrayBuffer>;
}

/** The same on the device, once for all steps of a recording. */
function placed(recorder: Recorder, edit: HookEdit, { entries, vectors }: Planned) {
  return {
    vectors: recorder.uploadOnce(edit, vectors),
    entries: recorder.uploadOnce(edit, Uint32Array.from(entries)),
  };
}

/** Where a row of the batch lies in the activations; undefined where they do not hold it. */
type Find = (row: number) => number | undefined;

function planVector(batch: Batch, edit: Edit, width: number, find: Find): Planned {
  const { vector, op } = edit;
  checkWidth(edit, vector, width);
  const sequences = batch.starts.length;
  const scale = edit.scale ?? (op === "project" ? 0 : 1);
  if (typeof scale !== "number") checkCount(edit, scale, sequences, "scales");
  const bits = new Uint32Array(1);
  const asFloat = new Float32Array(bits.buffer);
  const entries: number[] = [];
  for (let s = 0; s < sequences; s++) {
    const own = typeof scale === "number" ? scale : scale[s];
    if (own === null) continue;
    asFloat[0] = own;
    for (const row of rowsAt(batch, s, edit.positions ?? "all")) {
      const place = find(row);
      if (place !== undefined) entries.push(place, 0, bits[0], 0);
    }
  }
  return { entries, vectors: op === "project" ? unit(vector) : new Float32Array(vector) };
}

function planComponents(batch: Batch, edit: ComponentEdit, width: number, find: Find): Planned {
  const { vectors, from, positions = "all" } = edit;
  const sequences = batch.starts.length;
  checkCount(edit, vectors, sequences, "vectors");
  if (from) checkFrom(batch, edit, from, width);
  const numbers = new Map<Float32Array, number>();
  const entries: number[] = [];
  for (let s = 0; s < sequences; s++) {
    const vector = vectors[s];
    if (vector === null) continue;
    if (!numbers.has(vector)) {
      checkWidth(edit, vector, width);
      numbers.set(vector, numbers.size);
    }
    for (const row of rowsAt(batch, s, positions)) {
      const place = find(row);
      // Without rows to take it from the component is 0, whose bits are 0 too.
      const target = from ? from.firstRows[s] + row - batch.offsets[s] : 0;
      if (place !== undefined) entries.push(place, numbers.get(vector)!, target, 0);
    }
  }
  const units = new Float32Array(numbers.size * width);
  for (const [vector, number] of numbers) units.set(unit(vector), number * width);
  return { entries, vectors: units };
}

function checkWidth({ hook }: HookEdit, vector: Float32Array, width: number): void {
  if (vector.length === width) return;
  throw new UsageError(
    `Cannot edit at "${hook}": the vector has ${vector.length} values, the hook ${width}`,
  );
}

function checkCount(
  { hook }: HookEdit,
  list: readonly unknown[],
  sequences: number,
  what: string,
): void {
  if (list.length === sequences) return;
  throw new UsageError(
    `Cannot edit at "${hook}": there are ${list.length} ${what} for ${sequences} sequences`,
  );
}

function checkFrom(
  { offsets, starts }: Batch,
  edit: ComponentEdit,
  { tensor, firstRows }: NonNullable<ComponentEdit["from"]>,
  width: number,
): void {
  const [rows, columns] = tensor.shape;
  if (columns !== width) {
    throw new UsageError(
      `Cannot edit at "${edit.hook}": components come from rows of ${columns} values, the hook has ${width}`,
    );
  }
  checkCount(edit, firstRows, starts.length, "first rows");
  firstRows.forEach((first, s) => {
    const last = first + offsets[s + 1] - offsets[s];
    if (Number.isInteger(first) && first >= 0 && last <= rows) return;
    throw new UsageError(
      `Cannot edit at "${edit.hook}": sequence ${s} takes components from rows ${first} to ${
        last - 1
      } of ${rows}`,
    );
  });
}

/** `v/‖v‖` in double, rounded once. */
function unit(vector: Float32Array): Float32Array<ArrayBuffer> {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  if (!(norm > 0 && norm < Infinity)) {
    throw new UsageError(`Cannot project along a vector of length ${norm}`);
  }
  return Float32Array.from(vector, (value) => value / norm);
}
