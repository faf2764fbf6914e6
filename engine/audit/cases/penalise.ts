/** penalise.wgsl and penalise_vec4.wgsl: the logits that sampling leaves, within one division or product. */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { flushed, TINY, U } from "../../ops/reference.ts";
import { sampleTokens, seenWords, uploadRows } from "../../ops/sampling.ts";
import { penaliseReference } from "../../ops/sampling_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";
import { sampledRows, samplingBuffers, samplingState, seenTokens } from "./sampling_rows.ts";

const shape = (rows: number, width: number, penalty: number) => ({
  label: `[${rows}, ${width}], penalty ${penalty}`,
  rows,
  width,
  penalty,
});

export const penalise = kernelCase({
  op: "penalise",
  shapes: [
    shape(5, 257, 1.3),
    shape(5, 260, 1.3),
    shape(1, 1, 0.7),
    shape(9, 5003, 1.1),
    shape(2, 151936, 1.2),
  ],
  random: (draw) => shape(1 + draw.below(9), 1 + draw.below(1500), 1.2),
  make({ rows, width, penalty }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 126), width, picked);
    const seen = seenTokens(draw, rows, width);
    const sampling = { temperature: 0, repetitionPenalty: penalty, seed: 0 };
    const words = seenWords(sampling, width);
    return {
      buffers: { x, ...samplingBuffers(picked, seen, words) },
      record(recorder, at) {
        const logits = new DeviceTensor(at.x.gpu, at.x.buffer, [picked.length, width]);
        const rows = uploadRows(recorder, sampledRows(picked, sampling));
        sampleTokens(recorder, logits, rows, samplingState(at, words), 0);
      },
      expect: {
        x: {
          rowWords: width,
          reference() {
            const expected = Float64Array.from(
              picked.flatMap((row, i) =>
                penaliseReference(
                  x.subarray(i * width, (i + 1) * width),
                  seen[row],
                  Math.fround(penalty),
                )
              ),
            );
            // What was not seen is copied. A division is within 2.5 ULP, and the reference is rounded too. Of a denormal logit
            // all may be lost before it is multiplied.
            const bound = expected.map((value, i) =>
              seen[picked[Math.floor(i / width)]].has(i % width)
                ? (flushed(x[i]) > 0 ? 1 : 6 * U) * Math.abs(value) + TINY
                : 0
            );
            return { expected, bound };
          },
        },
      },
    };
  },
});
