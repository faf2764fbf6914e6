import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { WeightsError } from "../errors.ts";
import { memorySource } from "./byte_source.ts";
import { Checkpoint } from "./checkpoint.ts";
import { mixedSource } from "./mixed_source.ts";
import { encodeSafetensors, type TensorData } from "./safetensors_writer.ts";

const f32 = (name: string, shape: number[], ...data: number[]): TensorData => {
  return { name, dtype: "F32", shape, data: Float32Array.from(data) };
};

const checkpoint = (...tensors: TensorData[]) =>
  Checkpoint.open(memorySource("model.safetensors", encodeSafetensors(tensors)));

/** bf16 bits of 1, 2, 4 and 0.5. */
const BF16: TensorData = {
  name: "w",
  dtype: "BF16",
  shape: [2, 2],
  data: Uint16Array.of(0x3f80, 0x4000, 0x4080, 0x3f00),
};

Deno.test("mixedSource() lies between the two, whole or by rows, whatever their dtypes", async () => {
  const base = await checkpoint(f32("norm", [3], 0, 10, -4), BF16, f32("mine", [1], 7));
  const tuned = await checkpoint(f32("w", [2, 2], 3, 2, 8, 0.1), f32("norm", [3], 1, 20, 4));
  const mix = await Checkpoint.open(mixedSource(base, tuned, 0.25));
  assertEquals([...mix.names()], ["norm", "w"], "what only one of them has is not there");
  assertEquals(mix.info("w").dtype, "F32");
  assertEquals([...await mix.readFloat32("norm")], [0.25, 12.5, -2]);
  const expected = [1.5, 2, 5, Math.fround(0.75 * 0.5 + 0.25 * Math.fround(0.1))];
  assertEquals([...await mix.readFloat32("w")], expected);
  const row = new Float32Array((await mix.readRows("w", 1, 1)).buffer);
  assertEquals([...row], expected.slice(2));
});

Deno.test("mixedSource() is the base at 0 and the finetuned model at 1, to the bit", async () => {
  const ours = [1e-30, 0.1, 3e8, -7];
  const theirs = [1e30, 0.3, -1e-8, 1 / 3];
  const base = await checkpoint(f32("w", [4], ...ours));
  const tuned = await checkpoint(f32("w", [4], ...theirs));
  for (const [strength, values] of [[0, ours], [1, theirs]] as const) {
    const mix = await Checkpoint.open(mixedSource(base, tuned, strength));
    assertEquals(await mix.readFloat32("w"), Float32Array.from(values));
  }
});

Deno.test("mixedSource() refuses what does not belong together", async () => {
  const base = await checkpoint(f32("w", [4], 1, 2, 3, 4));
  const other = await checkpoint(f32("w", [2, 2], 1, 2, 3, 4));
  assertThrows(() => mixedSource(base, other, 0.5), WeightsError, "[4] in one and [2, 2]");
  const mix = mixedSource(base, base, 0.5);
  await assertRejects(() => mix.read(mix.size - 4, 8), WeightsError, "Cannot read 8 bytes");
});
