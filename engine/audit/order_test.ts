/**
 * Sums have the order that the shaders state. The inputs make it visible: every product is exact, and a large first term
 * of each chunk swallows what is added to it one by one, but not what comes as the sum of another chunk.
 */

import { assert, assertEquals } from "@std/assert";
import { HAS_HALF, openBoth } from "../../tests/fast_gpu.ts";
import { closeTestGpus, compute, input, output, PROFILES, testGpu } from "../../tests/test_gpu.ts";
import { CHUNK } from "../ops/grid.ts";
import { halfMatmul } from "../ops/matmul_half.ts";
import { matmul } from "../ops/matmul.ts";
import { testMatrix } from "../ops/matrix_reference.ts";
import { projectRows, rmsnorm, rowNorm } from "../ops/rows.ts";
import { Draw } from "./inputs.ts";

Deno.test.afterAll(closeTestGpus);

/** Terms `[count]` summed in f32: chunks of `chunk` in order, then the chunks in order. */
function chunked(terms: ArrayLike<number>, chunk: number): number {
  let total = 0;
  for (let start = 0; start < terms.length; start += chunk) {
    let sum = 0;
    for (let i = start; i < Math.min(start + chunk, terms.length); i++) {
      sum = Math.fround(sum + terms[i]);
    }
    total = Math.fround(total + sum);
  }
  return total;
}

/** What other orders give: one chunk, smaller and larger ones, and each chunk backwards. */
function otherOrders(terms: readonly number[]): number[] {
  const backwards = Array.from(
    { length: Math.ceil(terms.length / CHUNK) },
    (_, c) => terms.slice(c * CHUNK, (c + 1) * CHUNK).reverse(),
  ).flat();
  return [
    chunked(terms, Infinity),
    chunked(terms, CHUNK / 2),
    chunked(terms, 2 * CHUNK),
    chunked(backwards, CHUNK),
    chunked(terms.toReversed(), CHUNK),
  ];
}

const WIDTH = 5 * CHUNK + 13;

for (const profile of PROFILES) {
  Deno.test(`matmul sums in the stated order (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const draw = new Draw("normal", 3);
    // With weights of 1 every product is exact, so that it does not matter whether fma is fused.
    for (const m of [1, 2, 3, 9, 40]) {
      const n = 33;
      const x = Float32Array.from({ length: m * WIDTH }, () => draw.normal() * 2 ** draw.below(9));
      const ones = new Float32Array(n * WIDTH).fill(1);
      const { matrix } = await testMatrix(gpu, ones, [n, WIDTH], "BF16");
      const [y] = await compute(gpu, (recorder) => {
        const out = output(gpu, [m, n]);
        matmul(recorder, { x: input(gpu, x).buffer, weight: matrix, y: out.buffer, rows: m });
        return [out];
      });
      for (let row = 0; row < m; row++) {
        const terms = [...x.slice(row * WIDTH, (row + 1) * WIDTH)];
        const expected = chunked(terms, CHUNK);
        assert(otherOrders(terms).some((other) => other !== expected), "the order is visible");
        assertEquals([...y.slice(row * n, (row + 1) * n)], new Array(n).fill(expected));
      }
    }
  });

  Deno.test(`fast products are summed in the stated order (${profile})`, {
    ignore: !HAS_HALF,
  }, async () => {
    using gpu = await openBoth(profile);
    const draw = new Draw("normal", 3);
    for (const m of [1, 40]) {
      // Numbers that f16 holds.
      const x = Float32Array.from(
        { length: m * WIDTH },
        () => Math.f16round(draw.normal()) * 2 ** draw.below(16),
      );
      const { matrix } = await testMatrix(
        gpu,
        new Float32Array(33 * WIDTH).fill(1),
        [33, WIDTH],
        "BF16",
      );
      const [y] = await compute(gpu, (recorder) => {
        const out = output(gpu, [m, 33]);
        halfMatmul(recorder, { x: input(gpu, x).buffer, weight: matrix, y: out.buffer, rows: m });
        return [out];
      });
      for (let row = 0; row < m; row++) {
        const terms = [...x.slice(row * WIDTH, (row + 1) * WIDTH)];
        const expected = chunked(terms, CHUNK);
        assert(otherOrders(terms).some((other) => other !== expected), "the order is visible");
        assertEquals([...y.slice(row * 33, (row + 1) * 33)], new Array(33).fill(expected));
      }
    }
  });

  Deno.test(`sums of squares have the stated order (${profile})`, async () => {
    const gpu = await testGpu(profile);
    // 2^12 squared is 2^24: a 1 added to it is lost, the 64 of a whole chunk are not.
    const x = Float32Array.from({ length: WIDTH }, (_, i) => i === 0 ? 2 ** 12 : 1);
    const squares = [...x].map((value) => value * value);
    const total = chunked(squares, CHUNK);
    for (const other of otherOrders(squares)) assert(Math.abs(other / total - 1) > 1.5e-6);
    const ones = new Float32Array(WIDTH).fill(1);
    const [norm, normed] = await compute(gpu, (recorder) => {
      const rows = input(gpu, x).buffer;
      const [norm, normed] = [output(gpu, [1]), output(gpu, [WIDTH])];
      rowNorm(recorder, { x: rows, out: norm.buffer, rows: 1, width: WIDTH });
      const weight = input(gpu, ones).buffer;
      const sizes = { rows: 1, width: WIDTH, eps: 0 };
      rmsnorm(recorder, { x: rows, weight, out: normed.buffer, ...sizes });
      return [norm, normed];
    });
    // Within a few ULP of the stated order, and further from all others.
    assert(Math.abs(norm[0] / Math.sqrt(total) - 1) < 6e-7, `${norm[0] ** 2} for ${total}`);
    const scale = x[0] / Math.sqrt(total / WIDTH);
    assert(Math.abs(normed[0] / scale - 1) < 6e-7, `${normed[0]} for ${scale}`);
  });

  Deno.test(`the component along a vector is summed in the stated order (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const draw = new Draw("normal", 5);
    // A vector of one power of two; its length is not 1, which only the formula needs.
    const x = Float32Array.from({ length: WIDTH }, () => draw.normal() * 2 ** draw.below(9));
    const vector = new Float32Array(WIDTH).fill(1);
    const total = chunked(x, CHUNK);
    const [out] = await compute(gpu, (recorder) => {
      const edited = input(gpu, x);
      projectRows(recorder, {
        x: edited.buffer,
        vectors: input(gpu, vector).buffer,
        entries: input(gpu, Uint32Array.of(0, 0, 0, 0)).buffer,
        count: 1,
        width: WIDTH,
      });
      return [edited];
    });
    assertEquals([...out], [...x].map((value) => Math.fround(value - total)));
  });
}
