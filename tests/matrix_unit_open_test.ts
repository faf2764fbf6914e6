/** A command that computes in fast mode tries the adapter's matrix unit before it relies on it, and one in f32 does not. */

import { assertEquals } from "@std/assert";
import { openGpu } from "../cli/common_flags.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { HAS_HALF } from "./fast_gpu.ts";
import { BACKEND } from "./test_gpu.ts";

for (const precision of ["fast", "f32"] as const) {
  Deno.test(`a matrix unit that the adapter has not is found out (${precision})`, {
    ignore: !HAS_HALF,
  }, async () => {
    const { open } = Gpu;
    const { error } = console;
    const warnings: string[] = [];
    const unit = { m: 24, n: 24, k: 24, subgroup: 32 }; // no adapter has these
    // As a driver would that names one, and whose compiler then refuses it.
    Gpu.open = async (options) => {
      const gpu = await open.call(Gpu, options);
      gpu.matrices = unit;
      return gpu;
    };
    console.error = (line: string) => warnings.push(line);
    try {
      using gpu = await openGpu({ backend: BACKEND, memoryBudget: undefined, precision });
      assertEquals(gpu.matrices, precision === "fast" ? undefined : unit);
    } finally {
      Gpu.open = open;
      console.error = error;
    }
    const told = warnings.filter((line) => line.includes("without the adapter's matrix unit"));
    assertEquals(told.length, precision === "fast" ? 1 : 0);
  });
}
