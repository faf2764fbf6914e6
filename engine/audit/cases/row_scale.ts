/** row_scale.wgsl: powers of two, which are exact. */

import { rowScale } from "../../ops/matmul_half.ts";
import { WEIGHT_DTYPES } from "../../weights/matrix.ts";
import { allRows, exactly, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";
import { asStored, encodeStored, largestExponent, type StoredDtype } from "../stored.ts";

const shape = (rows: number, width: number, dtype: StoredDtype) => ({
  label: `[${rows}, ${width}], ${dtype.toLowerCase()}`,
  rows,
  width,
  dtype,
});

export const rowScaleCase = kernelCase({
  op: "row_scale",
  shapes: [
    shape(9, 64, "BF16"),
    shape(11, 61, "F32"),
    shape(33, 130, "F16"),
    shape(1, 1, "F32"),
    shape(5, 29568, "BF16"),
  ],
  quick: 3,
  random: (draw) => shape(1 + draw.below(20), 2 * (1 + draw.below(200)), "BF16"),
  make({ rows, width, dtype }, draw, picked = allRows(rows)) {
    const values = draw.weights(rows * width, width, largestExponent(dtype));
    const chosen = rowsOf(asStored(values, dtype), width, picked);
    const encoded = encodeStored(chosen, dtype);
    const x = new Uint32Array(encoded.buffer);
    const words = x.length / picked.length;
    return {
      buffers: { x, out: { words: picked.length } },
      record: (recorder, at) =>
        rowScale(recorder, {
          x: at.x.buffer,
          dtype: WEIGHT_DTYPES[dtype],
          out: at.out.buffer,
          rows: picked.length,
          words,
        }),
      expect: {
        out: exactly(1, () => {
          const scales = picked.map((_, r) => scaleOf(chosen.subarray(r * width, (r + 1) * width)));
          return new Uint32Array(Float32Array.from(scales).buffer);
        }),
      },
    };
  },
});

function scaleOf(row: Float32Array): number {
  const most = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const exponent = most < 2 ** -126 ? -127 : Math.floor(Math.log2(most));
  return 2 ** Math.min(126, 14 - exponent);
}
