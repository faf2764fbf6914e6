/** What tests of fast mode need: whether the adapter has f16, a device that was opened for it, and what must hold of each of its kernels. */

import { chooseAdapter } from "../engine/gpu/backend.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { DeviceProfile } from "../engine/gpu/profile.ts";
import { matmul } from "../engine/ops/matmul.ts";
import type { matmulReference } from "../engine/ops/matmul_reference.ts";
import { type StoredDtype, testMatrix } from "../engine/ops/matrix_reference.ts";
import {
  assertSameBits,
  assertWithin,
  BACKEND,
  compute,
  input,
  normals,
  output,
  withOutlier,
} from "./test_gpu.ts";

/** Whether the adapter of the tests has what fast mode needs. Tests of it are marked as ignored where it has not. */
const { adapter } = await chooseAdapter(BACKEND, { both: true });
export const HAS_HALF = adapter.features.has("shader-f16");

/** A device that can do both; it begins with f32 as every other. Where there is no f16, one for f32 alone. */
export function openBoth(profile?: DeviceProfile): Promise<Gpu> {
  return Gpu.open({ profile, backend: BACKEND, both: true });
}

/**
 * Fails where a fast product, or one that is added to what was there, is outside the bound that a reference states. Gives the product, and
 * what was multiplied.
 */
export async function assertFastWithin(
  gpu: Gpu,
  [m, n, k]: readonly [number, number, number],
  dtype: StoredDtype,
  seed: number,
  reference: typeof matmulReference,
): Promise<{ y: Float32Array; x: Float32Array; w: Float32Array }> {
  const x = normals(seed, m * k);
  const { matrix: weight, values: w } = await testMatrix(gpu, normals(9, n * k), [n, k], dtype);
  const before = normals(7, m * n);
  const [y, added] = await compute(gpu, (recorder) =>
    [undefined, -0.7].map((addScaled) => {
      const y = input(gpu, before, [m, n]);
      matmul(recorder, { x: input(gpu, x).buffer, weight, y: y.buffer, rows: m, addScaled });
      return y;
    }));
  const name = `[${m}, ${n}, ${k}] ${dtype}`;
  assertWithin(y, reference(x, w, [m, n, k]), name);
  const add = { y: before, addScaled: -0.7 };
  assertWithin(added, reference(x, w, [m, n, k], add), `${name}, added`);
  return { y, x, w };
}

/**
 * Fails where a row of `[rows, 200] · [140, 200]ᵀ` has another fast product in one of these parts of the batch, or on another class of adapters.
 *
 * @param begin to be done with each device first
 * @param end and at last
 */
export async function assertSameInParts(
  rows: number,
  parts: readonly (readonly [from: number, to: number])[],
  begin: (gpu: Gpu) => void = () => {},
  end: (gpu: Gpu) => void = () => {},
): Promise<void> {
  const [n, k] = [140, 200];
  const x = withOutlier(normals(1, rows * k), k);
  let expected: Float32Array<ArrayBuffer> | undefined;
  for (const profile of ["software", "discrete"] as const) {
    using gpu = await openBoth(profile);
    gpu.precision = "fast";
    begin(gpu);
    const { matrix: weight } = await testMatrix(gpu, normals(2, n * k), [n, k], "BF16");
    const all = [[0, rows] as const, ...parts];
    const products = await compute(gpu, (recorder) =>
      all.map(([from, to]) => {
        const y = output(gpu, [to - from, n]);
        const part = input(gpu, x.slice(from * k, to * k)).buffer;
        matmul(recorder, { x: part, weight, y: y.buffer, rows: to - from });
        return y;
      }));
    expected ??= products[0];
    all.forEach(([from, to], i) =>
      assertSameBits(products[i], expected!.slice(from * n, to * n), `${profile}, ${from}–${to}`)
    );
    end(gpu);
  }
}
