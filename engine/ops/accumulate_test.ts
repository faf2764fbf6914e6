import { assert, assertEquals } from "@std/assert";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  input,
  normals,
  testGpu,
  withOutlier,
} from "../../tests/test_gpu.ts";
import { accumulate } from "./accumulate.ts";
import { sumReference } from "./accumulate_reference.ts";

Deno.test.afterAll(closeTestGpus);

/** Sums a corpus in batches of these sizes; `[positions, width, 2]`. */
async function sums(
  batches: readonly number[],
  x: Float32Array<ArrayBuffer>,
  [positions, width]: readonly [number, number],
) {
  const gpu = await testGpu("software");
  const [state] = await compute(gpu, (recorder) => {
    const state = input(gpu, new Float32Array(positions * width * 2));
    let done = 0;
    for (const documents of batches) {
      const part = (data: Float32Array<ArrayBuffer>) =>
        input(gpu, data.slice(done * positions * width, (done + documents) * positions * width));
      const args = { state, documents, positions, width };
      accumulate(recorder, { ...args, x: part(x) });
      done += documents;
    }
    return [state];
  });
  return state;
}

const values = (state: Float32Array) =>
  Float64Array.from({ length: state.length / 2 }, (_, i) => state[2 * i] + state[2 * i + 1]);

Deno.test("accumulate is within its bound", async () => {
  for (const [documents, positions, width] of [[1, 1, 1], [7, 3, 64], [300, 2, 65]]) {
    const x = withOutlier(normals(1, documents * positions * width), width);
    const state = await sums([documents], x, [positions, width]);
    const reference = sumReference(x, documents, positions * width);
    assertWithin(values(state), reference, `${documents} documents, width ${width}`);
  }
});

Deno.test("the batches that a corpus is cut into change no bit", async () => {
  const x = withOutlier(normals(1, 60 * 2 * 33), 33);
  const whole = await sums([60], x, [2, 33]);
  const ones = Array<number>(60).fill(1);
  for (const batches of [[1, 59], [7, 13, 40], ones]) {
    assertSameBits(await sums(batches, x, [2, 33]), whole, `batches of ${batches}`);
  }
});

Deno.test("accumulate keeps what a plain f32 sum loses", async () => {
  const documents = 10_001;
  const columns: ((d: number) => number)[] = [
    (d) => d === 0 ? 1e8 : 0.125, // too small to move the sum
    (d) => d === 5000 ? 1e8 : 0.1, // a term larger than the sum so far
    (d) => [0.25, 1e8, 0.5, -1e8][d % 4], // the large ones cancel, the small ones stay
    (d) => 1 / 3 + d * 1e-3, // grows without cancelling
  ];
  const width = columns.length;
  const x = new Float32Array(documents * width);
  const plain = new Float32Array(width);
  const exact = new Float64Array(width);
  for (let d = 0; d < documents; d++) {
    columns.forEach((column, i) => {
      x[d * width + i] = column(d);
      plain[i] += x[d * width + i];
      exact[i] += x[d * width + i];
    });
  }
  const kept = values(await sums([5000, 5001], x, [1, width]));
  for (let i = 0; i < width; i++) {
    const ulp = 2 ** (Math.floor(Math.log2(Math.abs(exact[i]))) - 23);
    assert(
      Math.abs(kept[i] - exact[i]) <= ulp,
      `column ${i}: ${kept[i]}, expected ${exact[i]} ± ${ulp}`,
    );
    assert(Math.abs(plain[i] - exact[i]) > 2 * ulp, `column ${i}: a plain sum would do`);
  }
  assertEquals(kept[0], 1e8 + 1250);
});
