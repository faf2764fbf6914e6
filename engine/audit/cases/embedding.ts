/** embedding.wgsl and embedding_vec4.wgsl in every dtype. */

import { embed } from "../../ops/embedding.ts";
import { embeddingReference } from "../../ops/embedding_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";
import { asStored, largestExponent, STORED_DTYPES, type StoredDtype } from "../stored.ts";

const shape = (
  rows: number,
  [vocab, hidden]: readonly [number, number],
  dtype: StoredDtype,
  scale = 1,
) => ({
  label: `${rows} of [${vocab}, ${hidden}], ${dtype.toLowerCase()}, × ${scale}`,
  rows,
  vocab,
  hidden,
  dtype,
  scale,
});

export const embeddingCase = kernelCase({
  op: "embedding",
  shapes: [
    shape(9, [31, 13], "BF16"),
    shape(9, [31, 13], "F16", 33.94),
    shape(9, [31, 13], "F32", 0.5),
    shape(37, [101, 68], "BF16", 33.94),
    shape(9, [31, 12], "F16"),
    shape(9, [31, 20], "F32", 0.5),
    shape(1, [1, 1], "F32"),
    shape(37, [101, 67], "BF16", 33.94),
    { ...shape(5, [151936, 64], "BF16"), distributions: ["normal", "outliers"] as const },
  ],
  quick: 6,
  random: (draw) =>
    shape(
      1 + draw.below(40),
      [1 + draw.below(99), 1 + draw.below(99)],
      STORED_DTYPES[draw.below(3)],
    ),
  make({ rows, vocab, hidden, dtype, scale }, draw, picked = allRows(rows)) {
    const most = Math.min(120, largestExponent(dtype));
    const table = asStored(draw.values(vocab * hidden, hidden, most), dtype);
    const all = Uint32Array.from({ length: rows }, () => draw.below(vocab));
    all[rows - 1] = vocab - 1;
    const ids = rowsOf(all, 1, picked);
    return {
      buffers: { ids, out: { words: picked.length * hidden } },
      matrices: { table: { values: table, rows: vocab, columns: hidden, dtype } },
      record: (recorder, at, { table }) =>
        embed(recorder, {
          ids: at.ids.buffer,
          table,
          out: at.out.buffer,
          tokens: picked.length,
          scale,
        }),
      expect: {
        out: { rowWords: hidden, reference: () => embeddingReference(ids, table, hidden, scale) },
      },
    };
  },
});
