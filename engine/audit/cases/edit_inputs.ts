/** What the audits of edits share: rows, of which two in three are edited, by three vectors. */

import type { Entry } from "../../ops/rows_reference.ts";
import { type Draw, rowsOf } from "../inputs.ts";

type Op = "add" | "replace" | "project" | "component";

/** A shape of an edit. */
export const editShape = (rows: number, width: number, op: Op) => ({
  label: `[${rows}, ${width}], ${op}`,
  rows,
  width,
  op,
});

/** Inputs of an edit of the picked rows; the coefficient of an entry is a number of its row's own. */
export function editInputs(
  draw: Draw,
  { rows, width, picked }: { rows: number; width: number; picked: readonly number[] },
) {
  const x = rowsOf(draw.values(rows * width, width, 100), width, picked);
  const vectors = unitRows(draw.normals(3 * width), width);
  const all = Array.from({ length: rows }, (_, row) => ({
    edited: row % 3 !== 1,
    vector: draw.below(3),
    coefficient: Math.fround(2 * draw.normal()),
  }));
  const entries: Entry[] = picked.flatMap((from, row) => {
    const { edited, vector, coefficient } = all[from];
    return edited ? [{ row, vector, coefficient }] : [];
  });
  return { x, vectors, entries, words: entryWords(entries, coefficientBits) };
}

/** Entries as the kernels read them. */
export function entryWords(
  entries: readonly Entry[],
  third: (coefficient: number) => number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(
    entries.flatMap(({ row, vector, coefficient }) => [row, vector, third(coefficient), 0]),
  );
}

function coefficientBits(coefficient: number): number {
  return new Uint32Array(Float32Array.of(coefficient).buffer)[0];
}

/** Each row divided by its length. */
function unitRows(values: Float32Array<ArrayBuffer>, width: number): Float32Array<ArrayBuffer> {
  const out = values.slice();
  for (let first = 0; first < out.length; first += width) {
    const row = out.subarray(first, first + width);
    const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    row.forEach((x, i) => row[i] = x / length);
  }
  return out;
}
