/** rmsnorm.wgsl and rmsnorm_vec4.wgsl. */

import { rmsnorm } from "../../ops/rows.ts";
import { rmsnormReference } from "../../ops/rows_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number, eps = 1e-6, add = false) => ({
  label: `[${rows}, ${width}], eps ${eps}${add ? ", added" : ""}`,
  rows,
  width,
  eps,
  add,
});

export const rmsnormCase = kernelCase({
  op: "rmsnorm",
  quick: 4,
  shapes: [
    shape(9, 61),
    shape(33, 132),
    shape(11, 131, 1e-6, true),
    shape(9, 640, 1e-6, true),
    shape(1, 1, 1e-5),
    shape(33, 64),
    shape(20, 65, 1e-5),
    shape(5, 1152),
    shape(17, 16384),
  ],
  random: (draw) => shape(1 + draw.below(20), 1 + draw.below(400)),
  make({ rows, width, eps, add }, draw, picked = allRows(rows)) {
    // Squares and their sum must stay finite.
    const x = rowsOf(draw.values(rows * width, width, 55), width, picked);
    const weight = draw.weights(width, width, 60);
    const sum = add ? rowsOf(draw.values(rows * width, width, 120), width, picked) : undefined;
    return {
      buffers: { x, weight, out: sum ?? { words: x.length } },
      record: (recorder, { x, weight, out }) =>
        rmsnorm(recorder, {
          x: x.buffer,
          weight: weight.buffer,
          out: out.buffer,
          rows: picked.length,
          width,
          eps,
          add,
        }),
      expect: {
        out: {
          rowWords: width,
          reference: () => rmsnormReference(x, weight, picked.length, width, Math.fround(eps), sum),
        },
      },
    };
  },
});
