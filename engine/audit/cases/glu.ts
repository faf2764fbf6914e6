/** glu.wgsl in both activations. */

import { type Activation, glu } from "../../ops/rows.ts";
import { gluReference } from "../../ops/rows_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number, activation: Activation) => ({
  label: `[${rows}, ${width}], ${activation}`,
  rows,
  width,
  activation,
});

export const gluCase = kernelCase({
  op: "glu",
  shapes: [
    shape(7, 13, "silu"),
    shape(7, 13, "gelu_tanh"),
    shape(1, 1, "gelu_tanh"),
    shape(31, 67, "silu"),
    shape(31, 67, "gelu_tanh"),
    shape(32, 14336, "silu"),
  ],
  random: (draw) =>
    shape(1 + draw.below(40), 1 + draw.below(200), draw.below(2) ? "silu" : "gelu_tanh"),
  make({ rows, width, activation }, draw, picked = allRows(rows)) {
    const gate = rowsOf(draw.values(rows * width, width, 40), width, picked);
    const up = rowsOf(draw.values(rows * width, width, 80), width, picked);
    return {
      buffers: { gate, up },
      record: (recorder, at) =>
        glu(recorder, at.gate.buffer, at.up.buffer, gate.length, activation),
      expect: {
        gate: { rowWords: width, reference: () => gluReference(gate, up, activation) },
      },
    };
  },
});
