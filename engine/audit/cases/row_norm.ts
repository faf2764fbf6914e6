/** row_norm.wgsl and row_norm_vec4.wgsl. */

import { rowNorm } from "../../ops/rows.ts";
import { rowNormReference } from "../../ops/rows_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number) => ({ label: `[${rows}, ${width}]`, rows, width });

export const rowNormCase = kernelCase({
  op: "row_norm",
  shapes: [shape(9, 61), shape(33, 64), shape(1, 1), shape(20, 65), shape(17, 16384)],
  random: (draw) => shape(1 + draw.below(20), 1 + draw.below(400)),
  make({ rows, width }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 55), width, picked);
    return {
      buffers: { x, out: { words: picked.length } },
      record: (recorder, { x, out }) =>
        rowNorm(recorder, { x: x.buffer, out: out.buffer, rows: picked.length, width }),
      expect: {
        out: { rowWords: 1, reference: () => rowNormReference(x, picked.length, width) },
      },
    };
  },
});
