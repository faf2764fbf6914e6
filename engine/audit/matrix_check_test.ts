import { assertEquals, assertMatch } from "@std/assert";
import { emulateMatrices } from "../../tests/emulated_matrices.ts";
import { HAS_HALF, openBoth } from "../../tests/fast_gpu.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { checkMatrixUnit } from "./matrix_check.ts";

const UNIT = { m: 4, n: 4, k: 16, subgroup: 8 };

/** Bytes that are neither free nor kept for what comes next. */
const used = ({ buffers }: Gpu) => buffers.allocatedBytes - buffers.pooledBytes;

function checkTest(name: string, body: (gpu: Gpu) => Promise<void>): void {
  Deno.test(name, { ignore: !HAS_HALF }, async () => {
    using gpu = await openBoth();
    await body(gpu);
  });
}

checkTest("a matrix unit that multiplies right is kept, and nothing else", async (gpu) => {
  gpu.matrices = undefined;
  assertEquals(await checkMatrixUnit(gpu), undefined);
  emulateMatrices(gpu, UNIT);
  const before = used(gpu);
  assertEquals(await checkMatrixUnit(gpu), undefined);
  assertEquals(gpu.matrices, UNIT);
  assertEquals(used(gpu), before);
});

checkTest("one that is off by a little in one place is given up", async (gpu) => {
  emulateMatrices(gpu, UNIT, {
    change: (code) => code.replace("sums[at + 5u] = ", "sums[at + 5u] = 1.01 * "),
  });
  assertEquals(await checkMatrixUnit(gpu), "its products of integers are wrong");
  assertEquals(gpu.matrices, undefined);
});

checkTest("one whose kernels do not compile is given up, with the reason", async (gpu) => {
  emulateMatrices(gpu, UNIT, {
    change: (code) => code.replace("fn multiply", "fn multiplied"),
  });
  assertMatch(await checkMatrixUnit(gpu) ?? "", /^Cannot compile kernel "matmul_matrix"/);
  assertEquals(gpu.matrices, undefined);
  gpu.check();
});
