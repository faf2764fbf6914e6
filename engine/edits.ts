/** Edits of activations: from what a caller asks to the entries that the kernels take. */

import { type Batch, rowsAt } from "./batch.ts";
import { UsageError } from "./errors.ts";
import type { Recorder } from "./gpu/recorder.ts";
import { type Edit, hookWidth } from "./hooks.ts";
import type { ModelSpec } from "./model_spec.ts";
import { editRows, projectRows } from "./ops/rows.ts";

/**
 * Records one edit of `x` `[rows, width]`, in place. `held` are the batch rows that `x` has, all of them when absent.
 *
 * @throws {UsageError} when the vector's length is not the hook's width, or there is not one scale a sequence.
 */
export function applyEdit(
  recorder: Recorder,
  spec: ModelSpec,
  batch: Batch,
  edit: Edit,
  x: GPUBuffer,
  held?: readonly number[],
): void {
  const width = hookWidth(spec, edit.hook);
  if (edit.vector.length !== width) {
    throw new UsageError(
      `Cannot edit at "${edit.hook}": the vector has ${edit.vector.length} values, the hook ${width}`,
    );
  }
  const entries = editEntries(batch, edit, held);
  if (entries.length === 0) return;
  const vector = edit.op === "project" ? unit(edit.vector) : new Float32Array(edit.vector);
  const args = {
    x,
    vectors: recorder.upload(vector),
    entries: recorder.upload(entries),
    count: entries.length / 4,
    width,
  };
  if (edit.op === "project") projectRows(recorder, args);
  else editRows(recorder, edit.op, args);
}

function editEntries(batch: Batch, edit: Edit, held?: readonly number[]): Uint32Array<ArrayBuffer> {
  const sequences = batch.starts.length;
  const scale = edit.scale ?? (edit.op === "project" ? 0 : 1);
  if (typeof scale !== "number" && scale.length !== sequences) {
    throw new UsageError(
      `Cannot edit at "${edit.hook}": there are ${scale.length} scales for ${sequences} sequences`,
    );
  }
  const placeOf = held && new Map(held.map((row, place) => [row, place]));
  const bits = new Uint32Array(1);
  const asFloat = new Float32Array(bits.buffer);
  const entries: number[] = [];
  for (let s = 0; s < sequences; s++) {
    asFloat[0] = typeof scale === "number" ? scale : scale[s];
    for (const row of rowsAt(batch, s, edit.positions ?? "all")) {
      const place = placeOf ? placeOf.get(row) : row;
      if (place !== undefined) entries.push(place, 0, bits[0], 0);
    }
  }
  return Uint32Array.from(entries);
}

/** `v/‖v‖` in double, rounded once. */
function unit(vector: Float32Array): Float32Array<ArrayBuffer> {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  if (!(norm > 0 && norm < Infinity)) {
    throw new UsageError(`Cannot project along a vector of length ${norm}`);
  }
  return Float32Array.from(vector, (value) => value / norm);
}
