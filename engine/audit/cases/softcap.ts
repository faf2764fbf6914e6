/** softcap.wgsl. */

import { softcap } from "../../ops/rows.ts";
import { softcapReference } from "../../ops/rows_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number, cap: number) => ({
  label: `[${rows}, ${width}], cap ${cap}`,
  rows,
  width,
  cap,
});

export const softcapCase = kernelCase({
  op: "softcap",
  shapes: [shape(7, 13, 30), shape(1, 1, 50), shape(31, 67, 0.7), shape(4, 262144, 30)],
  random: (draw) => shape(1 + draw.below(40), 1 + draw.below(200), 30),
  make({ rows, width, cap }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 120), width, picked);
    return {
      buffers: { x },
      record: (recorder, at) => softcap(recorder, at.x.buffer, x.length, cap),
      expect: { x: { rowWords: width, reference: () => softcapReference(x, cap) } },
    };
  },
});
