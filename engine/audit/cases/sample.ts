/**
 * sample.wgsl, with all that comes before it and commit_tokens.wgsl after it. The draw is a number of Philox's; a token is
 * right if the draw lies in its share of [0, 1). The audit measures how far outside it is.
 */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { U } from "../../ops/reference.ts";
import { sampleTokens, type Sampling, seenWords, uploadRows } from "../../ops/sampling.ts";
import {
  drawReference,
  massesReference,
  penaliseReference,
  sharesReference,
} from "../../ops/sampling_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";
import { sampledRows, samplingBuffers, samplingState, seenTokens } from "./sampling_rows.ts";

const shape = (rows: number, width: number, sampling: Sampling) => ({
  label: `[${rows}, ${width}], ${JSON.stringify(sampling)}`,
  rows,
  width,
  sampling,
});

export const sample = kernelCase({
  op: "sample",
  shapes: [
    shape(5, 257, { temperature: 1, topK: 40, minP: 0.01, repetitionPenalty: 1.1, seed: 5 }),
    shape(7, 101, { temperature: 0.7, seed: 2 ** 40 + 3 }),
    shape(1, 1, { temperature: 1, seed: 1 }),
    shape(9, 5003, { temperature: 1.3, topK: 300, seed: 9 }),
    shape(2, 151936, { temperature: 1, seed: 4 }),
  ],
  random: (draw) => shape(1 + draw.below(9), 1 + draw.below(1500), { temperature: 1, seed: 7 }),
  make({ rows, width, sampling }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 100), width, picked);
    const seen = seenTokens(draw, rows, width);
    const words = seenWords(sampling, width);
    const draws = Float64Array.from(picked, (row) => drawReference(sampling.seed, row, 0));
    // Of the running sum and of the total, and the draw's own 24 bits.
    const error = 2 * (width / 256 + 262 + 7 * Math.log(width)) * U + 2 ** -24;
    const nearest = (found: Uint32Array) =>
      picked.map((row, i) => {
        const logits = x.subarray(i * width, (i + 1) * width);
        const scores = penaliseReference(
          logits,
          words > 0 ? seen[row] : new Set(),
          sampling.repetitionPenalty,
        );
        const [from, to] = sharesReference(massesReference(scores, sampling))[found[i]] ??
          [NaN, NaN];
        return from === to ? NaN : Math.min(to, Math.max(from, draws[i]));
      });
    return {
      buffers: { x, ...samplingBuffers(picked, seen, words) },
      record(recorder, at) {
        const logits = new DeviceTensor(at.x.gpu, at.x.buffer, [picked.length, width]);
        const rows = uploadRows(recorder, sampledRows(picked, sampling));
        sampleTokens(recorder, logits, rows, samplingState(at, words), 0);
      },
      expect: Object.fromEntries(["history", "ids"].map((name) => [name, {
        rowWords: 1,
        reference: () => ({ expected: draws, bound: draws.map(() => error) }),
        decode: nearest,
      }])),
    };
  },
});
