/** argmax.wgsl: integers and copied bits, so there is no error to allow. */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { argmax } from "../../ops/sampling.ts";
import { allRows, bitsOf, exactly, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number) => ({ label: `[${rows}, ${width}]`, rows, width });

/** More than a dimension of a grid holds, and not the number of workgroups that it is folded into. */
const MANY_ROWS = { ...shape(65_537, 2), distributions: ["normal"] as const };

export const argmaxCase = kernelCase({
  op: "argmax",
  shapes: [
    shape(5, 257),
    shape(1, 1),
    shape(3, 255),
    MANY_ROWS,
    shape(9, 5003),
    shape(2, 262144),
  ],
  random: (draw) => shape(1 + draw.below(9), 1 + draw.below(1500)),
  make({ rows, width }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 126), width, picked);
    return {
      buffers: { x },
      record: (recorder, at) => ({
        best: argmax(recorder, new DeviceTensor(at.x.gpu, at.x.buffer, [picked.length, width])),
      }),
      expect: {
        best: {
          ...exactly(2, () =>
            picked.flatMap((_, r) => {
              const row = x.subarray(r * width, (r + 1) * width);
              const place = row.reduce((best, value, i) => value > row[best] ? i : best, 0);
              return [place, bitsOf(row)[place]];
            })),
          words: 2 * picked.length,
        },
      },
    };
  },
});
