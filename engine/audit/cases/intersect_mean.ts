/** intersect_mean.wgsl: a row of the result is a group of prompts. */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { intersectMean } from "../../ops/ranking.ts";
import { intersectMeanReference } from "../../ops/ranking_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, prompts: number, width: number, k: number) => ({
  label: `${rows} × ${prompts} prompts, ${width} wide, k ${k}`,
  rows,
  prompts,
  width,
  k,
});

export const intersectMeanCase = kernelCase({
  op: "intersect_mean",
  shapes: [
    shape(5, 3, 257, 120),
    shape(1, 1, 1, 1),
    shape(2, 7, 1021, 800),
    shape(2, 3, 151936, 100),
  ],
  make({ rows, prompts, width, k }, draw, picked = allRows(rows)) {
    const group = prompts * width;
    const x = rowsOf(draw.values(rows * group, width, 120), group, picked);
    return {
      buffers: { x },
      record: (recorder, at) => {
        const all = new DeviceTensor(at.x.gpu, at.x.buffer, [picked.length * prompts, width]);
        return { out: intersectMean(recorder, all, prompts, k) };
      },
      expect: {
        out: {
          rowWords: width,
          words: picked.length * width,
          reference: () => intersectMeanReference(x, picked.length, prompts, width, k),
        },
      },
    };
  },
});
