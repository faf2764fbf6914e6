import { assertEquals, assertThrows } from "@std/assert";
import { WeightsError } from "../errors.ts";
import { memorySource } from "./byte_source.ts";
import { openSafetensors } from "./safetensors.ts";
import { encodeSafetensors, type TensorData } from "./safetensors_writer.ts";

const tensors: TensorData[] = [
  { name: "b", dtype: "F32", shape: [2, 1], data: new Float32Array([1.5, -2]) },
  { name: "0", dtype: "I64", shape: [1], data: new BigInt64Array([-3n]) },
  { name: "__proto__", dtype: "I32", shape: [], data: new Int32Array([7]) },
  // A view into a larger buffer: only its own bytes are written.
  { name: "é", dtype: "BF16", shape: [2], data: new Uint16Array([0x3f80, 0, 1]).subarray(1) },
];

Deno.test("what is written is read back, in the given order", async () => {
  const bytes = encodeSafetensors(tensors, { z: "1", a: "2" });
  const file = await openSafetensors(memorySource("x", bytes));
  assertEquals([...file.tensors.values()].map((t) => [t.name, t.dtype, t.shape, t.begin]), [
    ["0", "I64", [1], 8], // JSON.parse moves whole numbers to the front; the data keep their order
    ["b", "F32", [2, 1], 0],
    ["__proto__", "I32", [], 16],
    ["é", "BF16", [2], 20],
  ]);
  assertEquals([...await file.readFloat32("b")], [1.5, -2]);
  assertEquals([...new BigInt64Array((await file.read("0")).buffer)], [-3n]);
  assertEquals([...await file.readFloat32("é")], [0, 2 ** -133]);
  assertEquals(file.metadata, { z: "1", a: "2" });
});

Deno.test("the same tensors give the same bytes, and the data start at a multiple of 8", () => {
  for (const name of ["a", "ab", "abc", "abcdefgh"]) {
    const one = () =>
      encodeSafetensors([{ name, dtype: "U8", shape: [1], data: new Uint8Array([9]) }]);
    assertEquals(one(), one());
    const length = Number(new DataView(one().buffer).getBigUint64(0, true));
    assertEquals(length % 8, 0);
    assertEquals(one().length, 8 + length + 1);
  }
});

Deno.test("the bytes are those of the format's description", () => {
  const bytes = encodeSafetensors([
    { name: "x", dtype: "U8", shape: [2], data: new Uint8Array([5, 6]) },
  ]);
  const header = '{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   ';
  assertEquals(header.length, 56);
  assertEquals([...bytes], [56, 0, 0, 0, 0, 0, 0, 0, ...new TextEncoder().encode(header), 5, 6]);
});

Deno.test("shapes that do not match, and names that are taken, are refused", () => {
  const data = new Float32Array(2);
  const write = (name: string, shape: number[]) => () =>
    encodeSafetensors([{ name: "a", dtype: "F32", shape: [2], data }, {
      name,
      dtype: "F32",
      shape,
      data,
    }]);
  assertThrows(write("b", [3]), WeightsError, "8 bytes are not a F32 of shape [3]");
  assertThrows(write("b", [-1, -2]), WeightsError, "[-1, -2]");
  assertThrows(write("a", [2]), WeightsError, '"a"');
  assertThrows(write("__metadata__", [2]), WeightsError, "__metadata__");
});
