/** softmax.wgsl. */

import { softmaxRows } from "../../ops/ranking.ts";
import { softmaxReference } from "../../ops/ranking_reference.ts";
import { DeviceTensor } from "../../gpu/tensor.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number) => ({ label: `[${rows}, ${width}]`, rows, width });

export const softmaxCase = kernelCase({
  op: "softmax",
  shapes: [shape(5, 257), shape(1, 1), shape(3, 255), shape(9, 5003), shape(2, 262144)],
  random: (draw) => shape(1 + draw.below(9), 1 + draw.below(1500)),
  make({ rows, width }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 120), width, picked);
    return {
      buffers: { x },
      record(recorder, at) {
        const { gpu, buffer } = at.x;
        softmaxRows(recorder, new DeviceTensor(gpu, buffer, [picked.length, width]));
      },
      expect: {
        x: { rowWords: width, reference: () => softmaxReference(x, picked.length, width) },
      },
    };
  },
});
