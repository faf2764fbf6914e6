/** add_bias.wgsl: x + bias, each rounded once. */

import { addBias } from "../../ops/rows.ts";
import { flushed, U } from "../../ops/reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number) => ({ label: `[${rows}, ${width}]`, rows, width });

export const addBiasCase = kernelCase({
  op: "add_bias",
  shapes: [shape(7, 13), shape(1, 1), shape(31, 67), shape(128, 8192)],
  random: (draw) => shape(1 + draw.below(40), 1 + draw.below(200)),
  make({ rows, width }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 126), width, picked);
    const bias = draw.values(width, width, 126);
    return {
      buffers: { x, bias },
      record: (recorder, at) =>
        addBias(recorder, { x: at.x.buffer, bias: at.bias.buffer, rows: picked.length, width }),
      expect: {
        x: {
          rowWords: width,
          reference: () => {
            const expected = Float64Array.from(x, (value, i) => value + bias[i % width]);
            const bound = expected.map((sum, i) =>
              U * Math.abs(sum) + flushed(x[i]) + flushed(bias[i % width]) + flushed(sum)
            );
            return { expected, bound };
          },
        },
      },
    };
  },
});
