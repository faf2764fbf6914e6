import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import addCode from "../../shaders/add.wgsl" with { type: "text" };
import editCode from "../../shaders/edit.wgsl" with { type: "text" };
import { DeviceError } from "../errors.ts";
import { addInPlace } from "../ops/rows.ts";
import { run } from "../../tests/test_gpu.ts";
import { Gpu } from "./gpu.ts";
import { u32 } from "./uniforms.ts";

Deno.test("several tensors come back in one read, empty ones too", async () => {
  using gpu = await Gpu.open();
  const floats = gpu.tensorFrom(Float32Array.of(1, 2, 3), [3]);
  const words = gpu.tensorFrom(Uint32Array.of(7, 8), [2, 1]);
  const none = gpu.tensorFrom(new Float32Array(0), [0, 5]);
  const data = await gpu.read([floats, none, words]);
  assertEquals(data.map(({ byteLength }) => byteLength), [12, 0, 8]);
  assertEquals(new Float32Array(data[0]), Float32Array.of(1, 2, 3));
  assertEquals(new Uint32Array(data[2]), Uint32Array.of(7, 8));
  assertEquals(await floats.read(), Float32Array.of(1, 2, 3));
});

Deno.test("Deno's queue is asked whether it is done when something else is submitted, not before", async () => {
  using gpu = await Gpu.open({ backend: "deno" });
  const { queue } = gpu.device;
  const done = queue.onSubmittedWorkDone.bind(queue);
  let asked = 0;
  queue.onSubmittedWorkDone = () => (asked++, done());
  const finished = gpu.finish();
  assertEquals(asked, 0);
  gpu.submit(gpu.device.createCommandEncoder().finish());
  assertEquals(asked, 1);
  await finished;
});

Deno.test("a tensor that is released twice goes back once", async () => {
  using gpu = await Gpu.open();
  const tensor = gpu.tensor([4]);
  tensor.release();
  tensor.release();
  const [one, two] = [gpu.tensor([4]), gpu.tensor([4])];
  assertEquals(one.buffer === tensor.buffer, true);
  assertEquals(two.buffer === tensor.buffer, false);
});

Deno.test("a dispatch that WebGPU refuses fails the next read, and every one after", async () => {
  using gpu = await Gpu.open();
  const x = gpu.tensorFrom(Float32Array.of(1, 2), [2]);
  // The shader's parameters are 8 bytes and pass; as a storage buffer of vec4s, 16 bytes are needed.
  const kernel = gpu.kernels.get("edit", editCode, { MODE: 0 });
  const small = gpu.device.createBuffer({ size: 4, usage: 0x80 });
  await run(
    gpu,
    (recorder) =>
      recorder.dispatch(kernel, [small, x.buffer, x.buffer], [u32(1), u32(1)], [1, 1, 1]),
  ).catch((error) => assertInstanceOf(error, DeviceError));
  await assertRejects(() => x.read(), DeviceError, "The GPU reported an error");
  assertThrows(() => gpu.check(), DeviceError, "The GPU reported an error");
  await assertRejects(() => gpu.finish(), DeviceError, "The GPU reported an error");
  await assertRejects(
    () =>
      run(
        gpu,
        (recorder) => addInPlace(recorder, x.buffer, recorder.upload(Float32Array.of(1)), 1),
      ),
    DeviceError,
    "The GPU reported an error",
  );
});

Deno.test("a lost device fails pending and later work", async () => {
  using gpu = await Gpu.open();
  const x = gpu.tensorFrom(new Float32Array(1000), [1000]);
  const pending = [x.read(), gpu.finish(), x.read()];
  gpu.device.destroy();
  for (const outcome of await Promise.allSettled(pending)) {
    // A read may have come through before; none may hang or fail with another error.
    if (outcome.status === "rejected") assertInstanceOf(outcome.reason, DeviceError);
  }
  await gpu.device.lost;
  await assertRejects(() => x.read(), DeviceError, "The GPU device was lost");
  await assertRejects(() => gpu.finish(), DeviceError, "The GPU device was lost");
  await assertRejects(
    () => run(gpu, (recorder) => addInPlace(recorder, x.buffer, x.buffer, 1)),
    DeviceError,
    "The GPU device was lost",
  );
});

Deno.test("a closed device fails later work", async () => {
  const gpu = await Gpu.open();
  const x = gpu.tensorFrom(new Float32Array(4), [4]);
  gpu.close();
  await assertRejects(() => x.read(), DeviceError, "The GPU device is closed");
  await assertRejects(() => gpu.finish(), DeviceError, "The GPU device is closed");
});

Deno.test("a limit over the adapter's is cut to it", async () => {
  using gpu = await Gpu.open({ limits: { maxComputeWorkgroupsPerDimension: 1e9 } });
  assertEquals(
    gpu.limits.maxComputeWorkgroupsPerDimension,
    gpu.device.limits.maxComputeWorkgroupsPerDimension,
  );
  await gpu.kernels.get("add", addCode).pipeline;
});
