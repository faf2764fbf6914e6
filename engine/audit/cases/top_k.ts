/** top_k.wgsl: indices and copied bits. */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { topK } from "../../ops/ranking.ts";
import { topKReference } from "../../ops/ranking_reference.ts";
import { allRows, bitsOf, exactly, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number, k: number) => ({
  label: `[${rows}, ${width}], k ${k}`,
  rows,
  width,
  k,
});

export const topKCase = kernelCase({
  op: "top_k",
  shapes: [
    shape(5, 257, 20),
    shape(1, 1, 1),
    shape(3, 255, 255),
    shape(9, 5003, 40),
    shape(2, 151936, 50),
  ],
  random: (draw) => shape(1 + draw.below(9), 1 + draw.below(1500), 1),
  make({ rows, width, k }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 126), width, picked);
    const expected = () =>
      picked.flatMap((_, r) => {
        const row = x.subarray(r * width, (r + 1) * width);
        const rising = topKReference(row, k).sort((a, b) => a - b);
        return rising.flatMap((place) => [place, bitsOf(row)[place]]);
      });
    return {
      buffers: { x },
      record: (recorder, at) => ({
        out: topK(recorder, new DeviceTensor(at.x.gpu, at.x.buffer, [picked.length, width]), k),
      }),
      expect: { out: { ...exactly(2 * k, expected), words: 2 * k * picked.length } },
    };
  },
});
