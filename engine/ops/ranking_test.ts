import { assert, assertEquals } from "@std/assert";
import type { DeviceProfile } from "../gpu/profile.ts";
import { DeviceTensor } from "../gpu/tensor.ts";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  input,
  normals,
  poisonPool,
  PROFILES,
  run,
  testGpu,
  withOutlier,
} from "../../tests/test_gpu.ts";
import { intersectMean, softmaxRows, topK, unpackTopK } from "./ranking.ts";
import { intersectMeanReference, softmaxReference, topKReference } from "./ranking_reference.ts";

Deno.test.afterAll(closeTestGpus);

/** Widths about the number of slots. */
const WIDTHS = [1, 2, 255, 256, 257, 2048, 5000];

const softmaxInputs = WIDTHS.map((width, i) => {
  const x = normals(i, 3 * width);
  return withOutlier(x, width).map((value, at) =>
    at < width ? value : at < 2 * width ? 10 * x[at] : x[at] - 1e4
  );
});

async function softmaxes(profile: DeviceProfile) {
  const gpu = await testGpu(profile);
  return await compute(gpu, (recorder) =>
    softmaxInputs.map((x, i) => {
      const tensor = input(gpu, x, [3, WIDTHS[i]]);
      softmaxRows(recorder, tensor);
      return tensor;
    }));
}

Deno.test("softmax is within its bound, and both variants give the same bits", async () => {
  const [actual, gpu] = [await softmaxes("software"), await softmaxes("discrete")];
  WIDTHS.forEach((width, i) => {
    assertWithin(actual[i], softmaxReference(softmaxInputs[i], 3, width), `width ${width}`);
    assertSameBits(gpu[i], actual[i], `width ${width}`);
  });
});

/** Rows with what a ranking can stumble on. */
const ROWS: Record<string, Float32Array<ArrayBuffer>> = {
  "normal numbers": normals(1, 1000),
  "one value": Float32Array.of(-3),
  "negative numbers": normals(2, 300).map((value) => -Math.abs(value)),
  "equal numbers": new Float32Array(300).fill(0.25),
  "few values, many ties": normals(3, 700).map((value) => Math.round(value)),
  "both zeros": Float32Array.from({ length: 300 }, (_, i) => i % 3 ? 0 : -0),
  "infinities and extremes": Float32Array.of(0, -Infinity, 3e38, Infinity, -3e38, 1e-30, -1e-30, 1),
  "neighbours in the last bit": new Float32Array(
    Uint32Array.from({ length: 400 }, (_, i) => 0x3f800000 + (i * 37) % 400).buffer,
  ),
};

async function rankings(profile: DeviceProfile) {
  const gpu = await testGpu(profile);
  const cases = Object.entries(ROWS).flatMap(([name, row]) =>
    [...new Set([1, 2, 100, row.length - 1, row.length, row.length + 5])].filter((k) => k > 0)
      .map((k) => ({ name: `${name}, k = ${k}`, row, k }))
  );
  // The second row shows that the first's end is found.
  const rows = cases.map(({ row }) => Float32Array.from([...row, ...row.toReversed()]));
  const tensors = await run(gpu, (recorder) =>
    cases.map(({ row, k }, i) => {
      poisonPool(gpu, 4 * Math.min(k, row.length));
      return topK(recorder, input(gpu, rows[i], [2, row.length]), k);
    }));
  const data = await gpu.read(tensors);
  tensors.forEach((tensor) => tensor.release());
  return cases.map((one, i) => ({ ...one, data: data[i], shape: tensors[i].shape }));
}

Deno.test("rows as long as the largest vocabularies are gone through to their ends", async () => {
  // On llvmpipe a thread that goes to too many elements stops, and says nothing.
  const width = 262_144;
  const x = normals(7, width).map((value) => 3 * value);
  const k = 20;
  const bits: Uint32Array[] = [];
  for (const profile of PROFILES) {
    const gpu = await testGpu(profile);
    const tensors = await run(gpu, (recorder) => {
      const top = topK(recorder, input(gpu, x, [1, width]), k);
      const probabilities = input(gpu, x, [1, width]);
      softmaxRows(recorder, probabilities);
      return [top, probabilities];
    });
    const [top, probabilities] = await gpu.read(tensors);
    const chosen = topKReference(x, k).toSorted((a, b) => a - b);
    const words = new Uint32Array(top);
    assertEquals(Array.from({ length: k }, (_, i) => words[2 * i]), chosen, profile);
    assertWithin(new Float32Array(probabilities), softmaxReference(x, 1, width), profile);
    bits.push(new Uint32Array(probabilities));
  }
  assertEquals(bits[0].findIndex((word, i) => word !== bits[1][i]), -1);
});

for (const profile of PROFILES) {
  Deno.test(`top_k takes the largest, ties by index (${profile})`, async () => {
    for (const { name, row, k, data, shape } of await rankings(profile)) {
      const count = Math.min(k, row.length);
      assertEquals(shape, [2, count, 2], name);
      const words = new Uint32Array(data);
      [row, row.toReversed()].forEach((values, r) => {
        const chosen = topKReference(values, k);
        const stored = Array.from({ length: count }, (_, i) => words[2 * (r * count + i)]);
        assertEquals(stored, chosen.toSorted((a, b) => a - b), `${name}, row ${r}: stored order`);
        const expected = chosen.map((id) => ({ id, value: values[id] }));
        // Where ids are told apart by the sign of zero alone, the unpacked order goes by id.
        expected.sort((a, b) => b.value === a.value ? a.id - b.id : 0);
        assertEquals(unpackTopK(data, shape)[r], expected, `${name}, row ${r}`);
      });
    }
  });

  Deno.test(`intersect_mean keeps what all prompts rank high (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const [groups, prompts, width] = [2, 3, 500];
    const x = normals(5, groups * prompts * width).map((value) => Math.exp(3 * value));
    for (let r = 0; r < 6; r++) for (let i = 0; i < 20; i++) x[r * width + 25 * i] = 50; // ties at the top
    for (const k of [1, 20, 150, 500, 16_384]) {
      poisonPool(gpu, groups * width);
      const mean = await run(
        gpu,
        (recorder) => intersectMean(recorder, input(gpu, x, [groups * prompts, width]), prompts, k),
      );
      const whole = await new DeviceTensor(gpu, mean.buffer, [mean.buffer.size / 4]).read();
      const actual = whole.subarray(0, mean.length);
      assert(whole.subarray(mean.length).every(Number.isNaN), "nothing is written past the end");
      const expected = intersectMeanReference(x, groups, prompts, width, Math.min(k, width));
      assertWithin(actual, expected, `k = ${k}`);
      mean.release();
    }
  });
}

Deno.test("both variants of top_k give the same bits", async () => {
  const software = await rankings("software");
  const gpu = await rankings("discrete");
  software.forEach(({ data, name }, i) =>
    assertEquals(new Uint32Array(gpu[i].data), new Uint32Array(data), name)
  );
});
