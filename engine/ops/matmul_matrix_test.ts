import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { emulateMatrices } from "../../tests/emulated_matrices.ts";
import { assertFastWithin, assertSameInParts, HAS_HALF, openBoth } from "../../tests/fast_gpu.ts";
import { compute, input, normals, output } from "../../tests/test_gpu.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { MATRIX_NEEDS, type MatrixUnit } from "../gpu/matrix_unit.ts";
import { matmul } from "./matmul.ts";
import { matmulMatrixReference } from "./matmul_half_reference.ts";
import { BLOCKS } from "./matmul_matrix.ts";
import { type StoredDtype, testMatrix } from "./matrix_reference.ts";

const SQUARE: MatrixUnit = { m: 4, n: 4, k: 16, subgroup: 8 };
/** No two sides alike. */
const OBLONG: MatrixUnit = { m: 4, n: 2, k: 8, subgroup: 8 };

function matrixTest(
  name: string,
  unit: MatrixUnit,
  body: (gpu: Gpu) => Promise<void>,
  threads = unit.subgroup,
): void {
  Deno.test(name, { ignore: !HAS_HALF }, async () => {
    using gpu = await openBoth();
    gpu.precision = "fast";
    emulateMatrices(gpu, unit, { threads });
    await body(gpu);
  });
}

/** The blocks of the matrix kernels that a device has compiled, by name. */
function blocksOf({ kernels }: Gpu): string[] {
  const names = kernels.list().filter(({ name }) => name === "matmul_matrix")
    .map(({ constants }) =>
      Object.entries(BLOCKS).find(([, { HIGH, ACROSS }]) =>
        constants.HIGH === HIGH && constants.ACROSS === ACROSS
      )![0]
    );
  return [...new Set(names)].sort();
}

Deno.test("a workgroup has what a device must have to be given matrices", () => {
  for (const { HIGH, WIDE, DOWN, ACROSS, TILE_K } of Object.values(BLOCKS)) {
    assert(DOWN * ACROSS <= MATRIX_NEEDS.subgroups);
    const [side, half, single] = [16, 2, 4];
    const rows = side * (DOWN * HIGH + ACROSS * WIDE);
    const bytes = half * rows * (TILE_K + 8) + single * DOWN * ACROSS * side * side;
    assert(bytes <= MATRIX_NEEDS.bytes, `${bytes}`);
  }
});

type Case = readonly [m: number, n: number, k: number, dtype: StoredDtype];

/** Each kind of block, and each dtype in one. */
const CASES: readonly Case[] = [
  [1, 40, 200, "BF16"],
  [3, 17, 8, "BF16"],
  [19, 30, 72, "F16"],
  [70, 130, 64, "BF16"],
  [70, 75, 40, "F32"],
];

/** Those of each kind of block, in one dtype. */
const FEW_CASES = CASES.slice(1, 4).map(([m, n, k]): Case => [m, n, k, "BF16"]);

for (
  const { name, unit, threads, cases } of [
    { name: "square matrices", unit: SQUARE, threads: 8, cases: CASES },
    { name: "oblong matrices", unit: OBLONG, threads: 8, cases: FEW_CASES },
    // Twice as many as the blocks have use for.
    { name: "smaller subgroups than there may be", unit: SQUARE, threads: 4, cases: FEW_CASES },
  ]
) {
  matrixTest(
    `products by ${name} are within their bound, in blocks of every size`,
    unit,
    async (gpu) => {
      for (const [i, [m, n, k, dtype]] of cases.entries()) {
        await assertFastWithin(gpu, [m, n, k], dtype, i, matmulMatrixReference);
      }
      assertEquals(blocksOf(gpu), ["few", "large", "small"]);
    },
    threads,
  );
}

matrixTest("a wider result gets the columns it is to have, and no others", SQUARE, async (gpu) => {
  const [m, n, k] = [20, 30, 64];
  const x = normals(1, m * k);
  const { matrix, values } = await testMatrix(gpu, normals(2, n * k), [n, k], "BF16");
  const [y] = await compute(gpu, (recorder) => {
    const y = input(gpu, new Float32Array(m * 50).fill(7), [m, 50]);
    const columns = { stride: 50, first: 13 };
    matmul(recorder, { x: input(gpu, x).buffer, weight: matrix, y: y.buffer, rows: m, columns });
    return [y];
  });
  const { expected, bound } = matmulMatrixReference(x, values, [m, n, k]);
  y.forEach((value, i) => {
    const [row, column] = [Math.floor(i / 50), i % 50 - 13];
    if (column < 0 || column >= n) return assertEquals(value, 7);
    const at = row * n + column;
    assert(Math.abs(value - expected[at]) <= bound[at], `${row}, ${column}: ${value}`);
  });
});

Deno.test("a row has the same product by matrices in any batch and in any block", {
  ignore: !HAS_HALF,
}, async () => {
  const used: string[][] = [];
  await assertSameInParts(
    150,
    [[0, 1], [1, 5], [5, 25], [25, 150]],
    (gpu) => emulateMatrices(gpu, SQUARE),
    (gpu) => used.push(blocksOf(gpu)),
  );
  assertNotEquals(used[0], used[1]);
});

matrixTest(
  "rows that are no whole vec4s go without a matrix unit, however many there are",
  SQUARE,
  async (gpu) => {
    for (const [k, kernel] of [[100, "matmul_half"], [104, "matmul_matrix"]] as const) {
      const { matrix } = await testMatrix(gpu, normals(2, 10 * k), [10, k], "BF16");
      const before = gpu.kernels.list().length;
      await compute(gpu, (recorder) =>
        [1, 5, 40].map((rows) => {
          const y = output(gpu, [rows, 10]);
          const x = input(gpu, normals(1, rows * k)).buffer;
          matmul(recorder, { x, weight: matrix, y: y.buffer, rows });
          return y;
        }));
      const products = gpu.kernels.list().slice(before).map(({ name }) => name)
        .filter((name) => name.startsWith("matmul"));
      assertEquals([...new Set(products)], [kernel]);
    }
  },
);
