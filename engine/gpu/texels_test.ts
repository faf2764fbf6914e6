import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { OutOfMemoryError } from "../errors.ts";
import { readTexels } from "../audit/read_texels.ts";
import { Gpu } from "./gpu.ts";
import type { BufferPool } from "./buffers.ts";
import { TexelPool } from "./texels.ts";

/** Bytes of so many rows of a texture; those of a power of 2 get one more. */
const rows = (count: number) => 16384 * count;

/** A pool that allocates nothing, where it would be gigabytes, and has textures of up to so many rows. */
function emptyPool(maxTextureDimension2D: number): TexelPool {
  const createTexture = ({ size }: { size: number[] }) => ({ height: size[1], destroy() {} });
  const spare = { takeSpare: () => true, giveSpare() {} };
  const buffers = { device: { createTexture }, ...spare, take() {}, give() {}, gone() {} };
  return new TexelPool(buffers as unknown as BufferPool, { maxTextureDimension2D });
}

Deno.test("textures are handed out again, counted, and freed by trim", async () => {
  using gpu = await Gpu.open();
  const one = gpu.texels.acquire(20_000)!;
  assertEquals(gpu.buffers.allocatedBytes, rows(3));
  assertNotStrictEquals(gpu.texels.acquire(20_000), one);
  gpu.texels.release(one);
  assertStrictEquals(gpu.texels.acquire(30_000), one);
  gpu.texels.release(one);
  gpu.buffers.trim();
  assertEquals(gpu.buffers.allocatedBytes, rows(3));
});

Deno.test("no height is a power of 2, for which llvmpipe would compile kernels once more", () => {
  const texels = emptyPool(64);
  const height = (texture?: GPUTexture) => texture?.height;
  for (const [asked, given] of [[1, 3], [2, 3], [3, 3], [4, 5], [16, 17], [60, 60]]) {
    assertEquals(height(texels.acquire(rows(asked))), given);
    assertEquals(height(texels.create(rows(asked))), given);
    assertEquals(height(texels.claim("weights", rows(asked))), given);
  }
  // There is no higher one.
  assertEquals(height(texels.acquire(rows(64))), 64);
  assertEquals(height(texels.claim("weights", rows(64))), 64);
});

Deno.test("under a budget textures take a small part of it, or nothing", async () => {
  using gpu = await Gpu.open({ memoryBudget: 1 << 20 });
  assert(gpu.texels.acquire(rows(7)));
  assertEquals(gpu.texels.acquire(rows(7)), undefined);
  assertEquals(gpu.buffers.allocatedBytes, rows(7));
});

Deno.test("where there is no memory for another, one that is there serves, if it has room enough", async () => {
  using gpu = await Gpu.open({ memoryBudget: 1 << 20 });
  const { texels, buffers } = gpu;
  const small = texels.acquire(rows(2))!;
  const large = texels.acquire(rows(5))!;
  for (const one of [large, small]) texels.release(one);
  assertStrictEquals(texels.acquire(rows(16), rows(5)), large);
  assertEquals(texels.acquire(rows(16), rows(5)), undefined);
  assertStrictEquals(texels.acquire(rows(16), rows(3)), small);
  assertEquals(buffers.allocatedBytes, rows(3 + 5));
});

Deno.test("a standing texture outlasts a trim, and is no room that a trim would make", async () => {
  using gpu = await Gpu.open({ memoryBudget: 1 << 20 });
  const { texels, buffers } = gpu;
  const standing = texels.stand(rows(15));
  const lesser = [texels.stand(rows(1)), texels.stand(rows(2))];
  const other = texels.acquire(rows(2))!;
  texels.release(other);
  const stands = rows(15 + 3 + 3);
  assertEquals([buffers.pooledBytes, buffers.allocatedBytes], [rows(3), stands + rows(3)]);
  buffers.trim();
  assertEquals([buffers.pooledBytes, buffers.allocatedBytes], [0, stands]);
  for (let i = 0; i < 2; i++) {
    assertEquals(texels.acquire(rows(32)), undefined);
    assertStrictEquals(texels.acquire(rows(32), rows(15)), standing);
    texels.release(standing);
  }
  // Nor is it for those who may hold on to it.
  buffers.take((1 << 20) - stands, "others");
  assertEquals(texels.acquire(rows(15)), undefined);
  buffers.give((1 << 20) - stands);
  for (const one of lesser) texels.unstand(one);
  texels.unstand(standing);
  assertEquals(buffers.allocatedBytes, 0);
  assertEquals(texels.acquire(rows(32), rows(15)), undefined);
});

Deno.test("a claimed texture counts as a buffer does, up to the whole budget", async () => {
  using gpu = await Gpu.open({ memoryBudget: 1 << 20 });
  const { texels, buffers } = gpu;
  const claimed = texels.claim("weights", rows(48));
  assertEquals(buffers.allocatedBytes, rows(48));
  assertThrows(() => texels.claim("weights", rows(30)), OutOfMemoryError, "for weights");
  texels.destroy(claimed);
  assertEquals(buffers.allocatedBytes, 0);
  texels.destroy(texels.claim("weights", rows(63)));
  const highest = gpu.limits.maxTextureDimension2D * 16384;
  assertEquals([texels.fits(highest), texels.fits(highest + 1)], [true, false]);
});

Deno.test("textures of weights leave room for those of keys and of adapters", () => {
  const texels = emptyPool(16384);
  const quarter = 2 ** 28;
  const made = Array.from({ length: 4 }, () => texels.create(quarter, true)!);
  assertEquals([made.length, texels.create(1, true)], [4, undefined]);
  const others = [0, 1].map(() => texels.create(quarter));
  assert(others.every((texture) => texture !== undefined));
  assertEquals(texels.create(1), undefined);
  texels.destroy(made[0]);
  assertEquals(texels.create(1, true), undefined);
  assert(texels.create(quarter));
});

Deno.test("a texture has the bytes of the buffer in their order, from any texel on, the last row too", async () => {
  using gpu = await Gpu.open();
  for (const [first, texels] of [[0, 2 * 1024 + 5], [1024, 1024], [1000, 2 * 1024 + 5], [3, 8]]) {
    const words = Uint32Array.from({ length: 4 * texels + 8 }, (_, i) => Math.imul(i, 0x9e3779b1));
    const source = gpu.tensorFrom(words, [words.length]);
    const texture = gpu.texels.acquire(16 * (first + texels))!;
    const recorder = gpu.record();
    const zeros = gpu.tensorFrom(new Uint32Array(4 * first + 4), [4 * first + 4]);
    if (first > 0) {
      recorder.copyToTexels({ buffer: zeros.buffer, offset: 0, bytes: 16 * first, texture });
    }
    recorder.copyToTexels({
      buffer: source.buffer,
      offset: 32,
      bytes: 16 * texels,
      texture,
      first,
    });
    const all = first + texels;
    const out = readTexels(recorder, texture, all);
    await recorder.submit();
    const [data] = await gpu.read([out]);
    const found = new Uint32Array(data);
    assertEquals(found.slice(0, 4 * first), new Uint32Array(4 * first));
    assertEquals(found.slice(4 * first), words.slice(8));
    gpu.texels.release(texture);
  }
});

Deno.test("what is bound for nothing can be copied to, so that no drawing clears it", async () => {
  using gpu = await Gpu.open();
  assertEquals(gpu.unused, gpu.unused);
  assertEquals(gpu.unused.texels.usage & 0x2, 0x2);
});
