/** RMSNorm, which reads and writes each value once: bound by memory. */

import { rmsnorm } from "../../engine/ops/rows.ts";
import { rmsnormReference } from "../../engine/ops/rows_reference.ts";
import { assertWithin, normals } from "../../tests/test_gpu.ts";
import { type KernelCase, once, type PreparedCase } from "./case.ts";

/** Of a prefill's and of one token's rows. */
export const RMSNORM_CASES: readonly KernelCase[] = [
  rmsnormCase(512, 576),
  rmsnormCase(2048, 2048),
  rmsnormCase(1, 2048),
];

function rmsnormCase(rows: number, width: number): KernelCase {
  const name = `rmsnorm/${rows}x${width}`;
  return {
    name,
    bound: "copy",
    amount: 4 * (2 * rows * width + width),
    async prepare(gpu) {
      const [values, weights] = [normals(7, rows * width), normals(8, width)];
      const x = gpu.tensorFrom(values, [rows, width]);
      const weight = gpu.tensorFrom(weights, [width]);
      const out = gpu.tensor([rows, width]);
      const eps = 1e-5;
      const buffers = { x: x.buffer, weight: weight.buffer, out: out.buffer };
      const record: PreparedCase["record"] = (recorder) =>
        rmsnorm(recorder, { ...buffers, rows, width, eps });
      await once(gpu, record);
      assertWithin(await out.read(), rmsnormReference(values, weights, rows, width, eps), name);
      return {
        record,
        checked: "float64",
        release: () => [x, weight, out].forEach((tensor) => tensor.release()),
      };
    },
  };
}
