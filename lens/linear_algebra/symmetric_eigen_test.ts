import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { symmetricEigenvalues } from "./symmetric_eigen.ts";

/** Fails unless the eigenvalues are these, largest first, up to rounding of the largest. */
function assertEigenvalues(actual: Float64Array, expected: readonly number[], bound = 1e-13): void {
  assertEquals(actual.length, expected.length);
  const size = Math.max(...expected.map(Math.abs), Number.MIN_VALUE);
  expected.forEach((value, i) => assertAlmostEquals(actual[i], value, bound * size, `number ${i}`));
}

const matrixOf = (size: number, entry: (row: number, column: number) => number) =>
  Float64Array.from({ length: size * size }, (_, i) => entry(Math.floor(i / size), i % size));

/** Q·diag(values)·Qᵀ of a rotation Q: reflections along a few fixed vectors, one after the other. */
function rotated(values: readonly number[]): Float64Array {
  const n = values.length;
  const a = matrixOf(n, (i, j) => i === j ? values[i] : 0);
  for (let turn = 1; turn <= 3; turn++) {
    const v = Float64Array.from({ length: n }, (_, i) => Math.sin(1 + i * turn * 1.7));
    const squares = v.reduce((sum, x) => sum + x * x, 0);
    for (const [across, along] of [[n, 1], [1, n]]) {
      for (let line = 0; line < n; line++) {
        let dot = 0;
        for (let i = 0; i < n; i++) dot += v[i] * a[line * across + i * along];
        for (let i = 0; i < n; i++) a[line * across + i * along] -= 2 * dot / squares * v[i];
      }
    }
  }
  return a;
}

Deno.test("symmetricEigenvalues() of matrices that need no work", () => {
  assertEquals([...symmetricEigenvalues(new Float64Array(0), 0)], []);
  assertEquals([...symmetricEigenvalues(Float64Array.of(-3), 1)], [-3]);
  assertEquals([...symmetricEigenvalues(new Float64Array(16), 4)], [0, 0, 0, 0]);
  const diagonal = matrixOf(4, (i, j) => i === j ? [2, -7, 5, 0][i] : 0);
  assertEigenvalues(symmetricEigenvalues(diagonal, 4), [5, 2, 0, -7]);
});

Deno.test("symmetricEigenvalues() of the second difference has its closed form", () => {
  // 2 − 2·cos(π·k / (n + 1)).
  const n = 41;
  const second = matrixOf(n, (i, j) => i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0);
  const expected = Array.from({ length: n }, (_, i) => {
    return 2 - 2 * Math.cos(Math.PI * (n - i) / (n + 1));
  });
  assertEigenvalues(symmetricEigenvalues(second, n), expected);
});

Deno.test("symmetricEigenvalues() finds what was turned: positive, negative, equal, far apart", () => {
  for (
    const values of [[4, 1], [9, 9, 9, -2, -2], [1e6, 3, 1e-3, 0, -1e6], [1, 0, 0, 0, 0, 0, 0]]
  ) {
    assertEigenvalues(symmetricEigenvalues(rotated(values), values.length), values);
  }
  const many = Array.from({ length: 120 }, (_, i) => 0.9 ** i);
  assertEigenvalues(symmetricEigenvalues(rotated(many), 120), many, 1e-12);
});

Deno.test("symmetricEigenvalues() reads the lower triangle alone, and leaves it as it was", () => {
  const whole = rotated([5, 3, 2, -1]);
  const lower = matrixOf(4, (i, j) => j > i ? 999 : whole[4 * i + j]);
  const before = lower.slice();
  assertEquals(symmetricEigenvalues(lower, 4), symmetricEigenvalues(whole, 4));
  assertEquals(lower, before);
});

Deno.test("symmetricEigenvalues() of tiny and huge numbers does not leave the range", () => {
  for (const scale of [1e-200, 1e150]) {
    const matrix = rotated([3, 2, 1, 0.5]).map((value) => value * scale);
    assertEigenvalues(symmetricEigenvalues(matrix, 4), [3, 2, 1, 0.5].map((v) => v * scale));
  }
});

Deno.test("symmetricEigenvalues() keeps trace and squares of a matrix of five hundred rows", () => {
  const n = 500;
  const matrix = matrixOf(n, (i, j) => Math.sin((i + 1) * (j + 1)) / (1 + Math.abs(i - j)));
  const values = symmetricEigenvalues(matrix, n);
  let trace = 0;
  for (let i = 0; i < n; i++) trace += matrix[i * n + i];
  const squares = matrix.reduce((sum, value) => sum + value * value, 0);
  assertAlmostEquals(values.reduce((a, b) => a + b), trace, 1e-10);
  assertAlmostEquals(values.reduce((sum, value) => sum + value * value, 0), squares, 1e-9);
  assert(values.every((value, i) => i === 0 || value <= values[i - 1]), "largest first");
});

Deno.test("symmetricEigenvalues() refuses what is no matrix", () => {
  assertThrows(() => symmetricEigenvalues(new Float64Array(5), 2), RangeError, "2 rows");
  assertThrows(() => symmetricEigenvalues(Float64Array.of(NaN), 1), RangeError, "finite");
  assertThrows(() => symmetricEigenvalues(Float64Array.of(1, 0, 0, Infinity), 2), RangeError);
});
