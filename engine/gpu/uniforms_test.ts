import { assertEquals, assertNotEquals, assertNotStrictEquals } from "@std/assert";
import { editRows } from "../ops/rows.ts";
import { compute, input } from "../../tests/test_gpu.ts";
import { Gpu } from "./gpu.ts";
import { f32, u32, UniformSlots } from "./uniforms.ts";

Deno.test("equal contents share a slot, different ones do not", async () => {
  using gpu = await Gpu.open();
  const slots = new UniformSlots(gpu.device);
  const one = slots.get([u32(1), f32(0.5)]);
  assertEquals(slots.get([u32(1), f32(0.5)]).id, one.id);
  assertEquals(slots.get([u32(1), u32(0x3f000000)]).id, one.id); // the same bits
  const others = [[u32(2), f32(0.5)], [u32(1), f32(0.25)], [f32(0.5), u32(1)], [f32(-0), f32(0)]];
  const keys = new Set([one, ...others.map((params) => slots.get(params))].map(({ id }) => id));
  assertEquals(keys.size, 5);
  assertEquals(one.binding.size, 16);
  assertEquals(slots.get([u32(1), u32(2), u32(3), u32(4), u32(5)]).binding.size, 32);
});

Deno.test("a full buffer is replaced, and what it held gets a new slot", async () => {
  using gpu = await Gpu.open();
  const slots = new UniformSlots(gpu.device);
  const first = slots.get([u32(0)]);
  for (let i = 1; i < 4096; i++) slots.get([u32(i)]);
  assertEquals(slots.get([u32(0)]).id, first.id);
  const next = slots.get([u32(4096)]);
  assertNotStrictEquals(next.binding.buffer, first.binding.buffer);
  assertNotEquals(slots.get([u32(0)]).id, first.id);
});

Deno.test("more parameters than slots in one submit still give every dispatch its own", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const count = 4500;
  const [x] = await compute(gpu, (recorder) => {
    const x = input(gpu, new Float32Array(count));
    const vectors = input(gpu, Float32Array.of(1)).buffer;
    // Dispatch n adds 1 to the rows 0 … n − 1, so row r ends as count − r.
    const words = new Uint32Array(4 * count);
    const one = new Uint32Array(Float32Array.of(1).buffer)[0];
    for (let r = 0; r < count; r++) words.set([r, 0, one, 0], 4 * r);
    const entries = input(gpu, words).buffer;
    for (let n = 1; n <= count; n++) {
      const args = { x: x.buffer, vectors, entries, count: n, width: 1 };
      editRows(recorder, "add", args);
    }
    return [x];
  });
  assertEquals(x.findIndex((value, r) => value !== count - r), -1);
});
