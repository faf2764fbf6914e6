/** kth_largest.wgsl: integers only. */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { kthLargest } from "../../ops/ranking.ts";
import { allRows, exactly, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";
import { orderedKey } from "./ordered_key.ts";

const shape = (rows: number, width: number, k: number) => ({
  label: `[${rows}, ${width}], k ${k}`,
  rows,
  width,
  k,
});

export const kthLargestCase = kernelCase({
  op: "kth_largest",
  shapes: [
    shape(5, 257, 20),
    shape(1, 1, 1),
    shape(3, 255, 255),
    shape(9, 5003, 40),
    shape(2, 262144, 50),
  ],
  random: (draw) => shape(1 + draw.below(9), 1 + draw.below(1500), 1),
  make({ rows, width, k }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 126), width, picked);
    const expected = () =>
      picked.flatMap((_, r) => {
        const keys = Array.from(x.subarray(r * width, (r + 1) * width), orderedKey);
        const falling = Uint32Array.from(keys).sort().reverse();
        const above = falling.findIndex((key) => key === falling[k - 1]);
        return [falling[k - 1], k - above];
      });
    return {
      buffers: { x },
      record: (recorder, at) => ({
        out: kthLargest(
          recorder,
          new DeviceTensor(at.x.gpu, at.x.buffer, [picked.length, width]),
          k,
        ),
      }),
      expect: { out: { ...exactly(2, expected), words: 2 * picked.length } },
    };
  },
});
