/** copy_rows.wgsl: bits are copied, also those of denormal numbers and of NaN. */

import { copyRows } from "../../ops/rows.ts";
import { allRows, bitsOf, exactly, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number) => ({ label: `[${rows}, ${width}]`, rows, width });

export const copyRowsCase = kernelCase({
  op: "copy_rows",
  shapes: [shape(7, 13), shape(1, 1), shape(31, 67), shape(64, 8192)],
  random: (draw) => shape(1 + draw.below(40), 1 + draw.below(200)),
  make({ rows, width }, draw, picked = allRows(rows)) {
    const x = draw.values(2 * rows * width, width, 127);
    const from = Array.from({ length: rows }, () => draw.below(2 * rows));
    const pairs = Uint32Array.from(picked.flatMap((row, i) => [from[row], picked.length - 1 - i]));
    const wanted = picked.map((row) => from[row]).reverse();
    return {
      buffers: { pairs, x, out: { words: picked.length * width } },
      record: (recorder, { pairs, x, out }) =>
        copyRows(recorder, {
          pairs: pairs.buffer,
          x: x.buffer,
          out: out.buffer,
          count: picked.length,
          width,
        }),
      // The rows are scattered in falling order, so they are not those of `rows`.
      expect: { out: exactly(0, () => bitsOf(rowsOf(x, width, wanted))) },
    };
  },
});
