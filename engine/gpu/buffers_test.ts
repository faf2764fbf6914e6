import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { OutOfMemoryError } from "../errors.ts";
import { sizeClass } from "./buffers.ts";
import { Gpu, type GpuOptions } from "./gpu.ts";

/** The profile without a smallest buffer of its own. */
const open = (options: GpuOptions = {}) => Gpu.open({ ...options, profile: "discrete" });

Deno.test("a size class holds the size and wastes an eighth at most", () => {
  for (const bytes of [0, 1, 256, 257, 511, 1000, 4096, 4097, 1e5, 1e6, 123_456_789, 2 ** 31]) {
    const size = sizeClass(bytes);
    assert(size >= bytes && size % 256 === 0, `${bytes}: ${size}`);
    assert(size <= Math.max(bytes * 1.125, bytes + 256), `${bytes}: ${size}`);
    assertEquals(sizeClass(size), size);
  }
});

Deno.test("a released buffer is handed out again to a request of its class and kind", async () => {
  using gpu = await open();
  const pool = gpu.buffers;
  const one = pool.acquire(1000);
  const two = pool.acquire(1000);
  assertNotStrictEquals(one, two);
  pool.release(one);
  assertNotStrictEquals(pool.acquire(5000), one);
  assertNotStrictEquals(pool.acquire(1000, "upload"), one);
  const before = pool.allocatedBytes;
  assertStrictEquals(pool.acquire(1010), one);
  assertEquals(pool.allocatedBytes, before);
  assertEquals(pool.peakBytes, before);
});

Deno.test("memory is counted, and freed by trim unless commands may use it", async () => {
  using gpu = await open();
  const pool = gpu.buffers;
  const made = pool.create("weights", 1024);
  pool.release(pool.acquire(256));
  assertEquals([made.size, pool.allocatedBytes], [1024, 1280]);
  const recorder = gpu.record();
  pool.trim();
  assertEquals(pool.allocatedBytes, 1280);
  recorder.close();
  recorder.close(); // counts once
  assertEquals(pool.openRecorders, 0);
  pool.trim();
  assertEquals(pool.allocatedBytes, 1024);
  pool.release(made); // not of a pool: destroyed
  assertEquals([pool.allocatedBytes, pool.peakBytes], [0, 1280]);
});

Deno.test("the budget holds, after pooled buffers have been given up for it", async () => {
  using gpu = await open({ memoryBudget: 4096 });
  const pool = gpu.buffers;
  const first = pool.acquire(2048);
  const error = assertThrows(() => pool.create("layer 3", 3072), OutOfMemoryError);
  assertEquals(
    error.message,
    "Cannot allocate 3.0 KiB for layer 3: 2.0 KiB of the memory budget of 4.0 KiB are in use",
  );
  pool.release(first);
  const second = pool.create("layer 3", 3072);
  assertEquals(pool.allocatedBytes, 3072);
  assertThrows(
    () => gpu.tensor([1000]),
    OutOfMemoryError,
    "Cannot allocate 4.0 KiB for activation",
  );
  pool.destroy(second);
  gpu.tensor([1000]);
});

Deno.test("a buffer that cannot be bound whole is refused", async () => {
  using gpu = await open({ limits: { maxStorageBufferBindingSize: 1 << 20 } });
  const message = "the adapter binds at most 1.0 MiB at once";
  assertThrows(() => gpu.buffers.create("logits", (1 << 20) + 1), OutOfMemoryError, message);
  assertThrows(() => gpu.tensor([1 << 18, 2]), OutOfMemoryError, message);
  assertEquals(gpu.buffers.allocatedBytes, 0);
  // Rounding up to a class does not lead over the limit.
  assertEquals(gpu.buffers.acquire((1 << 20) - 8).size, 1 << 20);
  const { maxStorageBufferBindingSize } = gpu.device.limits;
  assert(maxStorageBufferBindingSize >= 128 << 20, "the device itself keeps WebGPU's default");
});

Deno.test("the device's own limits hold where none are asked for", async () => {
  using gpu = await open();
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits;
  const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  assertEquals(gpu.limits.maxStorageBufferBindingSize, maxStorageBufferBindingSize);
  assertThrows(() => gpu.buffers.acquire(most + 4), OutOfMemoryError, "the adapter binds at most");
});

Deno.test("recording begins with room: pools that hold more than is left are freed", async () => {
  using gpu = await open({ memoryBudget: 8192 });
  const pool = gpu.buffers;
  pool.release(pool.acquire(2048));
  gpu.record().close();
  assertEquals(pool.allocatedBytes, 2048, "as much is left: it may be wanted again");
  const held = pool.acquire(5120);
  gpu.record().close();
  assertEquals(pool.allocatedBytes, 5120);
  pool.release(held);
});
