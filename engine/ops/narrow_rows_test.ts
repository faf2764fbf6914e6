import { assertEquals } from "@std/assert";
import {
  assertSameBits,
  closeTestGpus,
  compute,
  input,
  normals,
  testGpu,
} from "../../tests/test_gpu.ts";
import { readTexels } from "../audit/read_texels.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import { packedRows, planPacked, recordPacking } from "../weights/packed.ts";
import { matmul } from "./matmul.ts";
import { type StoredDtype, testMatrix } from "./matrix_reference.ts";
import { narrowRows } from "./narrow_rows.ts";

Deno.test.afterAll(closeTestGpus);

/** Ranks of matrices with one input: alike, of some blocks each, and such as take blocks of several numbers. */
const CASES: { rows: number; ranks: number[]; k: number; dtype: StoredDtype }[] = [
  { rows: 70, ranks: [16, 16, 16], k: 72, dtype: "BF16" },
  { rows: 1, ranks: [8, 8], k: 264, dtype: "F32" },
  { rows: 200, ranks: [72, 72], k: 136, dtype: "F16" },
  { rows: 65, ranks: [40, 16, 24], k: 200, dtype: "BF16" },
  { rows: 64, ranks: [16, 24, 8], k: 1032, dtype: "F32" },
];

/** What the texture holds before. */
const BEFORE = 7;

Deno.test("each matrix gives the bits of its matmul, and blocks that hold nothing are passed over", async () => {
  const gpu = await testGpu("software");
  for (const [i, { rows, ranks, k, dtype }] of CASES.entries()) {
    const name = JSON.stringify(CASES[i]);
    const matrices: WeightMatrix[] = [];
    for (const [r, rank] of ranks.entries()) {
      const { matrix } = await testMatrix(gpu, normals(10 * i + r, rank * k), [rank, k], dtype);
      matrices.push(matrix);
    }
    const x = normals(100 + i, rows * k);
    const packed = planPacked(matrices, (bytes) => gpu.texels.create(bytes)!, true)!;
    const [all, ...each] = await compute(gpu, (recorder) => {
      const xs = input(gpu, x);
      const from = gpu.texels.acquire(4 * rows * k)!;
      const to = gpu.texels.acquire(4 * rows * packed.rows)!;
      const before = input(gpu, new Float32Array(rows * packed.rows).fill(BEFORE));
      for (const [tensor, texture] of [[xs, from], [before, to]] as const) {
        const bytes = 4 * tensor.length;
        recorder.copyToTexels({ buffer: tensor.buffer, offset: 0, bytes, texture });
      }
      recordPacking(recorder, packed);
      narrowRows(recorder, { x: from, weight: packed, rows, out: to });
      const found = input(gpu, new Float32Array(rows * packed.rows));
      readTexels(recorder, to, rows * packed.rows / 4, found);
      const products = matrices.map((weight) => {
        const y = input(gpu, new Float32Array(rows * weight.rows));
        matmul(recorder, { x: xs.buffer, weight, y: y.buffer, rows });
        return y;
      });
      for (const texture of [from, to]) gpu.texels.release(texture);
      return [found, ...products];
    });
    const columns = (first: number, count: number) =>
      Float32Array.from(
        { length: rows * count },
        (_, at) => all[Math.floor(at / count) * packed.rows + first + at % count],
      );
    packedRows(matrices).forEach((first, m) => {
      assertSameBits(columns(first, ranks[m]), each[m], `${name}, matrix ${m}`);
    });
    const alike = ranks.every((rank) => Math.ceil(rank / 32) === Math.ceil(ranks[0] / 32));
    const widest = 16 * Math.ceil(Math.max(...ranks) / 16);
    packedRows(matrices).slice(1).forEach((next, m) => {
      if (!alike) return;
      const end = packedRows(matrices)[m] + widest;
      if (end < next) assertEquals(new Set(columns(end, next - end)), new Set([BEFORE]), name);
    });
    gpu.texels.destroy(packed.texture);
    for (const matrix of matrices) for (const { buffer } of matrix.windows) buffer.destroy();
  }
});
