/**
 * nucleus.wgsl: the least value that top-p keeps. Where the mass above it comes near p, rounding may decide either way, so
 * the audit measures by how much of the mass the choice is wrong: 0 for a right one.
 */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { U } from "../../ops/reference.ts";
import { argmax, keptFloors, uploadRows } from "../../ops/sampling.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";
import { keyValue } from "./ordered_key.ts";
import { sampledRows } from "./sampling_rows.ts";

const shape = (rows: number, width: number, topP: number, temperature = 1) => ({
  label: `[${rows}, ${width}], p ${topP}, temperature ${temperature}`,
  rows,
  width,
  topP,
  temperature,
});

export const nucleus = kernelCase({
  op: "nucleus",
  shapes: [
    shape(5, 257, 0.9),
    shape(1, 1, 0.5),
    shape(3, 255, 0.31, 1.7),
    shape(9, 5003, 0.95, 0.7),
    shape(2, 151936, 0.99),
  ],
  random: (draw) => shape(1 + draw.below(9), 1 + draw.below(1500), 0.8),
  make({ rows, width, topP, temperature }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 100), width, picked);
    const error = 2 * (width / 256 + 262 + 7 * Math.log(width) + 4) * U;
    return {
      buffers: { x },
      record(recorder, at) {
        const logits = new DeviceTensor(at.x.gpu, at.x.buffer, [picked.length, width]);
        const best = argmax(recorder, logits);
        const sampled = sampledRows(picked, { temperature, topP, seed: 0 });
        const floors = keptFloors(recorder, logits, best, uploadRows(recorder, sampled));
        best.release();
        return { floors };
      },
      expect: {
        floors: {
          rowWords: 2,
          words: 2 * picked.length,
          reference: () => ({
            expected: new Float64Array(picked.length),
            bound: new Float64Array(picked.length).fill(error),
          }),
          decode: (found) =>
            picked.map((_, r) =>
              wrongMass(
                x.subarray(r * width, (r + 1) * width),
                keyValue(found[2 * r]),
                topP,
                temperature,
              )
            ),
        },
      },
    };
  },
});

/** The share of the mass by which a floor keeps too much or too little. */
function wrongMass(row: Float32Array, floor: number, p: number, temperature: number): number {
  const highest = row.reduce((a, b) => Math.max(a, b));
  let [total, above, kept] = [0, 0, 0];
  for (const value of row) {
    const mass = Math.exp((value - highest) / temperature);
    total += mass;
    if (value > floor) above += mass;
    if (value >= floor) kept += mass;
  }
  return Math.max(0, above / total - p, p - kept / total);
}
