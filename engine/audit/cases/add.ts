/** add.wgsl: x + y, each rounded once. */

import { addInPlace } from "../../ops/rows.ts";
import { flushed, U } from "../../ops/reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number) => ({ label: `[${rows}, ${width}]`, rows, width });

export const add = kernelCase({
  op: "add",
  shapes: [shape(7, 13), shape(1, 1), shape(31, 67), shape(256, 8192)],
  random: (draw) => shape(1 + draw.below(40), 1 + draw.below(200)),
  make({ rows, width }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 126), width, picked);
    const y = rowsOf(draw.values(rows * width, width, 126), width, picked);
    return {
      buffers: { x, y },
      record: (recorder, at) => addInPlace(recorder, at.x.buffer, at.y.buffer, x.length),
      expect: {
        x: {
          rowWords: width,
          reference: () => ({
            expected: Float64Array.from(x, (value, i) => value + y[i]),
            bound: Float64Array.from(
              x,
              (a, i) => U * Math.abs(a + y[i]) + flushed(a) + flushed(y[i]) + flushed(a + y[i]),
            ),
          }),
        },
      },
    };
  },
});
