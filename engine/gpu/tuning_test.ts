import { assertEquals, assertThrows } from "@std/assert";
import {
  assertSameBits,
  closeTestGpus,
  compute,
  input,
  normals,
  output,
  PROFILES,
  run,
  testGpu,
  withOutlier,
} from "../../tests/test_gpu.ts";
import { UsageError } from "../errors.ts";
import { testMatrix } from "../ops/matrix_reference.ts";
import { matmul } from "../ops/matmul.ts";
import { kthLargest, softmaxRows, topK } from "../ops/ranking.ts";
import { projectRows, rmsnorm, rowNorm } from "../ops/rows.ts";
import type { Gpu } from "./gpu.ts";
import type { Recorder } from "./recorder.ts";
import type { DeviceTensor } from "./tensor.ts";
import { classKey, type KnobName, KNOBS, Tuning } from "./tuning.ts";

Deno.test.afterAll(closeTestGpus);

Deno.test("a size belongs to the first class that holds it, and to one past the last", () => {
  assertEquals(classKey("matmul", 16, 1 << 20), "matmul/16/1048576");
  assertEquals(classKey("matmul", 17, 1 + (1 << 20)), "matmul/31/max");
  assertEquals(classKey("attention", 256), "attention/max");
});

Deno.test("a tuning answers for its own classes alone", () => {
  const tuning = new Tuning({ "matmul/16/max": "tile 32", "long_row/max": "64" });
  assertEquals(tuning.choice("matmul", 9, 2e6), "tile 32");
  assertEquals(tuning.choice("matmul", 8, 2e6), undefined);
  assertEquals(tuning.choice("long_row", 1e9), "64");
  assertEquals(Tuning.none.choice("row_block", 1), undefined);
});

Deno.test("a tuning of all classes answers for each with its own choice", () => {
  for (const knob of Object.keys(KNOBS) as KnobName[]) {
    const { sizes, choices } = KNOBS[knob];
    let places: number[][] = [[]];
    for (const ends of Object.values<readonly number[]>(sizes)) {
      const around = [...ends.flatMap((end) => [end, end + 1]), 2 ** 40];
      places = places.flatMap((place) => around.map((size) => [...place, size]));
    }
    const keys = [...new Set(places.map((place) => classKey(knob, ...place)))];
    const chosen = Object.fromEntries(keys.map((key, i) => [key, choices[i % choices.length]]));
    const tuning = new Tuning(chosen);
    for (const place of places) {
      const key = classKey(knob, ...place);
      assertEquals(tuning.choice(knob, ...place), chosen[key], key);
    }
  }
});

Deno.test("what cannot be chosen is refused", () => {
  for (
    const [key, choice, why] of [
      ["matmul/16", "rows 8", "no such size"],
      ["matmul/17/max", "rows 8", "no such size"],
      ["__proto__x", "1", "no such size"],
      ["constructor/max", "1", "no such size"],
      ["attention/max", "rows 8", "choices are blocks, tokens"],
      ["long_row/max", "7", "choices are"],
    ]
  ) {
    assertThrows(() => new Tuning({ [key]: choice }), UsageError, why);
  }
});

/** Holds every choice of a knob to the bits of the device's own rule. */
async function sameBits(
  gpu: Gpu,
  knob: KnobName,
  record: (recorder: Recorder) => readonly DeviceTensor[],
  computed = compute,
): Promise<void> {
  const expected = await computed(gpu, record);
  try {
    for (const choice of KNOBS[knob].choices) {
      gpu.tuning = Tuning.always(knob, choice);
      const actual = await computed(gpu, record);
      actual.forEach((values, i) =>
        assertSameBits(values, expected[i], `${knob} ${choice}, result ${i}`)
      );
    }
  } finally {
    gpu.tuning = Tuning.none;
  }
}

for (const profile of PROFILES) {
  Deno.test(`every choice for a matrix product gives the same bits (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const sizes = [[1, 17, 64], [3, 130, 203], [37, 101, 128], [70, 33, 200], [130, 133, 72]];
    const matrices = await Promise.all(
      sizes.map(([, n, k], i) => testMatrix(gpu, normals(i, n * k), [n, k], "BF16")),
    );
    await sameBits(gpu, "matmul", (recorder) =>
      sizes.flatMap(([rows, n, k], i) => {
        const x = input(gpu, withOutlier(normals(9 + i, rows * k), k)).buffer;
        const { matrix: weight } = matrices[i];
        return [undefined, -0.7].map((addScaled) => {
          const y = input(gpu, normals(20 + i, rows * n), [rows, n]);
          matmul(recorder, { x, weight, y: y.buffer, rows, addScaled });
          return y;
        });
      }));
  });

  Deno.test(`every choice for rows of features gives the same bits (${profile})`, async () => {
    const gpu = await testGpu(profile);
    await sameBits(gpu, "row_block", (recorder) =>
      [1, 100, 1030].flatMap((width, i) => {
        const rows = 11;
        const x = input(gpu, withOutlier(normals(i, rows * width), width), [rows, width]);
        const [weight, unit] = [input(gpu, normals(5, width)), input(gpu, unitVector(width))];
        const [normed, lengths] = [output(gpu, [rows, width]), output(gpu, [rows])];
        const shape = { rows, width };
        const args = { x: x.buffer, weight: weight.buffer, out: normed.buffer, eps: 1e-5 };
        rmsnorm(recorder, { ...args, ...shape });
        rowNorm(recorder, { x: x.buffer, out: lengths.buffer, ...shape });
        const entries = recorder.upload(Uint32Array.of(3, 0, 0x3f800000, 0, 9, 0, 0, 0));
        projectRows(recorder, { x: x.buffer, vectors: unit.buffer, entries, count: 2, width });
        return [normed, lengths, x];
      }));
  });

  Deno.test(`every choice for rows of a vocabulary gives the same bits (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const record = (recorder: Recorder) =>
      [5, 1000, 70_001].flatMap((width, i) => {
        const x = input(gpu, normals(i, 2 * width), [2, width]);
        const [best, thresholds] = [topK(recorder, x, 7), kthLargest(recorder, x, 40)];
        softmaxRows(recorder, x);
        return [best, thresholds, x];
      });
    // What the ops make themselves has no guards.
    await sameBits(gpu, "long_row", record, async (gpu, record) => {
      const made = await run(gpu, record);
      return (await gpu.read(made)).map((bytes) => new Float32Array(bytes));
    });
  });
}

function unitVector(width: number): Float32Array<ArrayBuffer> {
  return new Float32Array(width).fill(1 / Math.sqrt(width));
}
