import { assert, assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { Gpu } from "./gpu.ts";
import { DeviceTensor } from "./tensor.ts";

Deno.test("textures are handed out again, counted, and freed by trim", async () => {
  using gpu = await Gpu.open();
  const one = gpu.texels.acquire(20_000)!;
  assertEquals(gpu.buffers.allocatedBytes, 2 * 16384);
  assertNotStrictEquals(gpu.texels.acquire(20_000), one);
  gpu.texels.release(one);
  assertStrictEquals(gpu.texels.acquire(30_000), one);
  gpu.texels.release(one);
  gpu.buffers.trim();
  assertEquals(gpu.buffers.allocatedBytes, 2 * 16384);
});

Deno.test("under a budget textures take a small part of it, or nothing", async () => {
  using gpu = await Gpu.open({ memoryBudget: 1 << 20 });
  assert(gpu.texels.acquire(1 << 17));
  assertEquals(gpu.texels.acquire(1 << 17), undefined);
  assertEquals(gpu.buffers.allocatedBytes, 1 << 17);
});

/** Copies texels to a buffer, word by word. */
const SHADER = `
@group(0) @binding(0) var t: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> count: u32;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < count) { out[id.x] = textureLoad(t, vec2(id.x % 1024u, id.x / 1024u)); }
}`;

Deno.test("a texture has the bytes of the buffer in their order, the last row too", async () => {
  using gpu = await Gpu.open();
  const texels = 2 * 1024 + 5;
  const words = Uint32Array.from({ length: 4 * texels + 8 }, (_, i) => Math.imul(i, 0x9e3779b1));
  const source = gpu.tensorFrom(words, [words.length]);
  const texture = gpu.texels.acquire(16 * texels)!;
  const recorder = gpu.record();
  recorder.copyToTexels({ buffer: source.buffer, offset: 32, bytes: 16 * texels, texture });
  const out = gpu.tensor([4 * texels]);
  const kernel = gpu.kernels.get("texels_test", SHADER);
  recorder.dispatch(kernel, [texture, out.buffer], [{ u32: texels }], [33, 1, 1]);
  await recorder.submit();
  const [data] = await gpu.read([new DeviceTensor(gpu, out.buffer, [4 * texels])]);
  assertEquals(new Uint32Array(data), words.slice(8));
});
