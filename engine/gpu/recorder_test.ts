import {
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { DeviceError } from "../errors.ts";
import { addInPlace, copyRows } from "../ops/rows.ts";
import { closeTestGpus, input, output, results, run, testGpu } from "../../tests/test_gpu.ts";
import type { Gpu } from "./gpu.ts";

Deno.test.afterAll(closeTestGpus);

const values = (...numbers: number[]) => Float32Array.from(numbers);

Deno.test("uploads of one recorder keep their contents until the submit", async () => {
  const gpu = await testGpu("software");
  const [x, y] = [input(gpu, values(0, 0)), input(gpu, values(0, 0))];
  await run(gpu, (recorder) => {
    const first = recorder.upload(values(1, 2));
    addInPlace(recorder, x.buffer, first, 2);
    const second = recorder.upload(values(30, 40));
    assertNotStrictEquals(first, second);
    addInPlace(recorder, y.buffer, second, 2);
    addInPlace(recorder, x.buffer, second, 2);
  });
  assertEquals(await results(gpu, [x, y]), [values(31, 42), values(30, 40)]);
});

Deno.test("what an owner uploads twice is one buffer, if its content is the same", async () => {
  const gpu = await testGpu("software");
  const x = input(gpu, values(0, 0));
  const [owner, other] = [{}, {}];
  for (const round of [1, 10]) {
    await run(gpu, (recorder) => {
      const data = () => values(round, 2 * round);
      const first = recorder.uploadOnce(owner, data());
      const others = [
        recorder.uploadOnce(owner, values(round, 3 * round)),
        recorder.uploadOnce(owner, values(round)),
        recorder.uploadOnce(other, data()),
      ];
      assertStrictEquals(recorder.uploadOnce(owner, data()), first);
      assertEquals(new Set([first, ...others]).size, 4);
      for (const y of [first, others[0]]) addInPlace(recorder, x.buffer, y, 2);
    });
  }
  assertEquals(await results(gpu, [x]), [values(22, 55)]);
});

Deno.test("an upload buffer serves the next recorder, and the submitted one kept its own", async () => {
  const gpu = await testGpu("software");
  const x = input(gpu, values(0, 0));
  const buffers: GPUBuffer[] = [];
  for (const round of [1, 10, 100]) {
    await run(gpu, (recorder) => {
      buffers.push(recorder.upload(values(round, 2 * round)));
      addInPlace(recorder, x.buffer, buffers.at(-1)!, 2);
    });
  }
  assertStrictEquals(buffers[1], buffers[0]);
  assertEquals(await results(gpu, [x]), [values(111, 222)]);
});

Deno.test("two open recorders do not share upload buffers", async () => {
  const gpu = await testGpu("software");
  const x = input(gpu, values(0));
  const [one, two] = [gpu.record(), gpu.record()];
  addInPlace(one, x.buffer, one.upload(values(1)), 1);
  addInPlace(two, x.buffer, two.upload(values(10)), 1);
  await two.submit();
  await one.submit();
  assertEquals(await results(gpu, [x]), [values(11)]);
  assertEquals(gpu.buffers.openRecorders, 0);
});

Deno.test("dispatches and copies take effect in their order", async () => {
  const gpu = await testGpu("software");
  const [x, kept] = [input(gpu, values(1, 2, 3, 4)), output(gpu, [6])];
  await run(gpu, (recorder) => {
    recorder.copy(x.buffer, 0, kept.buffer, 0, 8);
    addInPlace(recorder, x.buffer, recorder.upload(values(10, 10, 10, 10)), 4);
    recorder.copy(x.buffer, 4, kept.buffer, 8, 8);
    addInPlace(recorder, x.buffer, recorder.upload(values(5, 5, 5, 5)), 4);
    addInPlace(recorder, x.buffer, recorder.upload(values(1, 1, 1, 1)), 4);
    recorder.copy(x.buffer, 8, kept.buffer, 16, 8);
    assertEquals(recorder.dispatches, 3);
  });
  assertEquals(await results(gpu, [kept]), [values(1, 2, 12, 13, 19, 20)]);
});

Deno.test("a pooled buffer may be released and taken again within one recorder", async () => {
  const gpu = await testGpu("software");
  const [x, y] = [input(gpu, values(1, 2)), input(gpu, values(5, 6))];
  await run(gpu, (recorder) => {
    for (const tensor of [x, y]) {
      const held = gpu.tensor([2]);
      recorder.copy(tensor.buffer, 0, held.buffer, 0, 8);
      addInPlace(recorder, tensor.buffer, held.buffer, 2);
      held.release();
    }
  });
  assertEquals(await results(gpu, [x, y]), [values(2, 4), values(10, 12)]);
});

Deno.test("an empty upload is taken, and a dispatch over nothing is left out", async () => {
  const gpu = await testGpu("software");
  const x = input(gpu, values(1));
  await run(gpu, (recorder) => {
    addInPlace(recorder, x.buffer, recorder.upload(values()), 0);
    assertEquals(recorder.dispatches, 0);
  });
  assertEquals(await results(gpu, [x]), [values(1)]);
});

/** Doubles `x` through buffers that are new each time: a bind group of a destroyed one would fail. */
async function doubled(gpu: Gpu, numbers: readonly number[]) {
  const x = input(gpu, Float32Array.from(numbers));
  const out = output(gpu, [numbers.length]);
  const pairs = input(gpu, Uint32Array.of(0, 0));
  await run(gpu, (recorder) => {
    const copy = { pairs: pairs.buffer, x: x.buffer, out: out.buffer };
    copyRows(recorder, { ...copy, count: 1, width: numbers.length });
    addInPlace(recorder, out.buffer, x.buffer, numbers.length);
  });
  const [result] = await results(gpu, [out]);
  for (const tensor of [x, out, pairs]) tensor.release(); // outside the pool, so destroyed
  return [...result];
}

Deno.test("bind groups follow their buffers, not their sizes or parameters", async () => {
  const gpu = await testGpu("software");
  for (let i = 0; i < 5; i++) assertEquals(await doubled(gpu, [i, 1, -i]), [2 * i, 2, -2 * i]);
  const [x, y, z] = [[1], [10], [100]].map((numbers) => input(gpu, Float32Array.from(numbers)));
  await run(gpu, (recorder) => {
    addInPlace(recorder, x.buffer, y.buffer, 1);
    addInPlace(recorder, x.buffer, z.buffer, 1);
    addInPlace(recorder, y.buffer, x.buffer, 1);
  });
  assertEquals(await results(gpu, [x, y, z]), [values(111), values(121), values(100)]);
});

Deno.test("a recorder whose kernel fails gives its uploads back", async () => {
  const gpu = await testGpu("discrete");
  const broken = gpu.kernels.get("broken", "this is no shader");
  const recorder = gpu.record();
  const upload = recorder.upload(values(1));
  recorder.dispatch(broken, [upload], [], [1, 1, 1]);
  await assertRejects(() => recorder.submit(), DeviceError, 'Cannot compile kernel "broken"');
  assertEquals(gpu.buffers.openRecorders, 0);
  assertStrictEquals(gpu.buffers.acquire(4, "upload"), upload);
});
