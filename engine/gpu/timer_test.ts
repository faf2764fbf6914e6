import { assert, assertEquals } from "@std/assert";
import { closeTestGpus, input, normals, output, testGpu } from "../../tests/test_gpu.ts";
import { addInPlace } from "../ops/rows.ts";
import { GpuTimer } from "./timer.ts";

Deno.test.afterAll(closeTestGpus);

Deno.test("A timer measures dispatches with copies between and after them, and changes nothing", async () => {
  const gpu = await testGpu("software");
  const timer = GpuTimer.of(gpu);
  assertEquals(timer !== undefined, gpu.device.features.has("timestamp-query"));
  if (!timer) return;
  const count = 1 << 16;
  const [x, y] = [input(gpu, normals(1, count)), input(gpu, normals(2, count))];
  const copy = output(gpu, [count]);
  const took: number[] = [];
  for (const dispatches of [1, 200]) {
    const recorder = gpu.record();
    recorder.timer = timer;
    for (let i = 0; i < dispatches; i++) {
      addInPlace(recorder, x.buffer, y.buffer, count);
      if (i % 100 === 0) recorder.copy(x.buffer, 0, copy.buffer, 0, count * 4);
    }
    recorder.copy(x.buffer, 0, copy.buffer, 0, count * 4);
    await recorder.submit();
    took.push(await timer.read());
  }
  const [a, b] = await Promise.all([x.read(), copy.read()]);
  assertEquals(a, b);
  assert(took.every((nanoseconds) => nanoseconds > 0), `${took}`);
  timer.destroy();
});

Deno.test("A recorder without dispatches leaves its timer alone", async () => {
  const gpu = await testGpu("software");
  const timer = GpuTimer.of(gpu);
  const x = input(gpu, normals(1, 64));
  const recorder = gpu.record();
  recorder.timer = timer;
  recorder.copy(x.buffer, 0, output(gpu, [64]).buffer, 0, 256);
  await recorder.submit();
  await gpu.finish();
  timer?.destroy();
});
