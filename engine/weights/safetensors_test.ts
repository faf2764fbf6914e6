import { assertEquals, assertRejects } from "@std/assert";
import { WeightsError } from "../errors.ts";
import { memorySource } from "./byte_source.ts";
import { openSafetensors } from "./safetensors.ts";

/** A file with any header and any data, however wrong. */
function fileOf(header: unknown, dataBytes: number, headerLength?: bigint): Uint8Array {
  const json = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, headerLength ?? BigInt(json.length), true);
  bytes.set(json, 8);
  for (let i = 0; i < dataBytes; i++) bytes[8 + json.length + i] = i;
  return bytes;
}

const open = (bytes: Uint8Array) => openSafetensors(memorySource("m.safetensors", bytes));
const entry = (dtype: unknown, shape: unknown, offsets: unknown) => ({
  dtype,
  shape,
  data_offsets: offsets,
});
const f32 = (shape: unknown, begin: unknown, end: unknown) => entry("F32", shape, [begin, end]);

async function refuses(bytes: Uint8Array, ...says: string[]) {
  const error = await assertRejects(() => open(bytes), WeightsError);
  for (const text of ['"m.safetensors"', ...says]) {
    assertEquals(error.message.includes(text), true, `${error.message} lacks ${text}`);
  }
}

Deno.test("reads tensors, rows and metadata", async () => {
  const file = await open(fileOf({
    __metadata__: { format: "pt" },
    second: entry("U8", [2, 3], [8, 14]),
    first: f32([2], 0, 8),
  }, 14));
  assertEquals(file.metadata, { format: "pt" });
  assertEquals([...file.tensors.keys()], ["second", "first"]);
  assertEquals([...await file.read("second")], [8, 9, 10, 11, 12, 13]);
  assertEquals([...await file.readRows("second", 1, 1)], [11, 12, 13]);
  assertEquals([...await file.readRows("second", 2, 0)], []);
  assertEquals((await file.readFloat32("first")).length, 2);
});

Deno.test("scalars, empty tensors and an empty file are well-formed", async () => {
  const file = await open(
    fileOf({ scalar: f32([], 0, 4), none: f32([0, 5], 4, 4), n: f32([0], 0, 0) }, 4),
  );
  assertEquals((await file.read("scalar")).length, 4);
  assertEquals((await file.readRows("none", 0, 0)).length, 0);
  assertEquals((await open(fileOf("{}      ", 0))).tensors.size, 0);
});

Deno.test("a truncated file, or a header larger than the file", async () => {
  await refuses(new Uint8Array(5), "has 5 bytes, fewer");
  await refuses(fileOf({ a: f32([4], 0, 16) }, 7), '"a"', "[0, 16]", "truncated");
  await refuses(fileOf({}, 0, 3n), "claims 3 bytes", "has 10");
  await refuses(fileOf({}, 0, 99_999_999n), "claims 99999999 bytes");
});

Deno.test("a huge header length, even with its sign bit set, is refused before anything is read", async () => {
  await refuses(fileOf({}, 0, 100_000_001n), "100000001", "allowed");
  await refuses(fileOf({}, 0, 2n ** 64n - 1n), "18446744073709551615", "allowed");
});

Deno.test("a header that is not a JSON object", async () => {
  await refuses(fileOf("{", 0), "header is not valid");
  await refuses(fileOf('{"a', 0), "header is not valid");
  await refuses(fileOf("[]", 0), "not a JSON object");
  await refuses(fileOf("null", 0), "not a JSON object");
  await refuses(fileOf("\ufeff{}", 0), "header is not valid");
  const broken = fileOf({ a: f32([0], 0, 0) }, 0);
  broken[10] = 0xff; // in the name, where JSON allows any character
  await refuses(broken, "header is not valid");
});

Deno.test("a name that stands twice, however it is spelled", async () => {
  const one = JSON.stringify(f32([0], 0, 0));
  await refuses(fileOf(`{"a":${one},"b":${one},"a":${one}}`, 0), '"a" twice');
  await refuses(fileOf(`{"a":${one},"\\u0061":${one}}`, 0), '"a" twice');
  await refuses(
    fileOf('{"a":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}', 0),
    '"dtype" twice',
  );
  await refuses(fileOf(`{"a\\"":${one},"a\\"":${one}}`, 0), "twice");
  await open(fileOf(`{"a\\\\":${one},"b\\\\":${one}}`, 0));
  // The same words as values, or in different objects, are fine.
  await open(fileOf(`{"dtype":${one},"F32":${one}}`, 0));
});

Deno.test("nesting without end is refused at once", async () => {
  await refuses(fileOf(`{"a":${"[".repeat(1_000_000)}`, 0), "nests deeper");
});

Deno.test("offsets out of range, backwards or malformed", async () => {
  await refuses(fileOf({ a: f32([4], 0, 16) }, 8), "run past the end");
  await refuses(fileOf({ a: f32([1], 8, 4) }, 8), "backwards");
  for (
    const offsets of [[-4, 0], [0.5, 4.5], [0], [0, 4, 8], "0", null, [0, 2 ** 53], ["0", "4"]]
  ) {
    await refuses(fileOf({ a: entry("F32", [1], offsets) }, 4), '"a"', "offsets");
  }
});

Deno.test("shapes that are negative, fractional, unsafe, no list, or of too many dimensions", async () => {
  const shapes = [[-1], [1.5], [2 ** 53], [1e300], ["1"], [null], 1, null, {}, Array(17).fill(1)];
  for (const shape of shapes) await refuses(fileOf({ a: f32(shape, 0, 4) }, 4), '"a"', "shape");
  await refuses(fileOf({ a: { dtype: "F32", data_offsets: [0, 4] } }, 4), "shape is missing");
});

Deno.test("a shape whose bytes differ from its offsets, also when the product overflows", async () => {
  await refuses(fileOf({ a: f32([2], 0, 4) }, 4), "takes 8 bytes", "hold 4");
  const big = 2 ** 52;
  await refuses(fileOf({ a: f32([big, big], 0, 0) }, 0), `takes ${4n * BigInt(big) ** 2n} bytes`);
  // In 64-bit arithmetic these 2^64 elements take 0 bytes, as their offsets say.
  await refuses(
    fileOf({ a: f32([2 ** 32, 2 ** 32], 0, 0) }, 0),
    "takes 73786976294838206464 bytes",
  );
});

Deno.test("tensors that overlap, leave a hole, or are followed by more bytes", async () => {
  await refuses(fileOf({ a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12), '"a" and "b" overlap');
  await refuses(fileOf({ a: f32([1], 0, 4), b: f32([1], 0, 4) }, 4), "overlap");
  await refuses(fileOf({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), "bytes 4 to 8", "no tensor");
  await refuses(fileOf({ a: f32([1], 4, 8) }, 8), "bytes 0 to 4");
  await refuses(fileOf({ a: f32([1], 0, 4) }, 9), "5 bytes follow");
});

Deno.test("unknown dtypes and malformed entries name the tensor", async () => {
  await refuses(fileOf({ a: entry("F8_E4M3", [4], [0, 4]) }, 4), '"a"', '"F8_E4M3"', "F64, F32");
  for (const dtype of [null, 7, "toString", { toString: 1 }]) {
    await refuses(fileOf({ a: entry(dtype, [4], [0, 4]) }, 4), '"a"', "dtype");
  }
  for (const value of [null, 3, "x", []]) await refuses(fileOf({ a: value }, 0), '"a"', "object");
  await refuses(fileOf({ __metadata__: { a: 1 } }, 0), "__metadata__");
});

Deno.test("a tensor named __proto__ is a tensor", async () => {
  const file = await open(
    fileOf('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1),
  );
  assertEquals([...await file.read("__proto__")], [0]);
});

Deno.test("a missing tensor is named, with its nearest neighbours", async () => {
  const names = ["model.layers.0.q_proj.weight", "model.layers.1.q_proj.weight", "lm_head.weight"];
  const file = await open(fileOf(Object.fromEntries(names.map((n) => [n, f32([0], 0, 0)])), 0));
  const error = await assertRejects(() => file.read("model.layers.2.q_proj.weight"), WeightsError);
  assertEquals(
    error.message,
    'Tensor "model.layers.2.q_proj.weight" is missing from "m.safetensors" ' +
      '(nearest: "model.layers.0.q_proj.weight", "model.layers.1.q_proj.weight")',
  );
});

Deno.test("rows outside the tensor, rows of a vector, integers as floats", async () => {
  const file = await open(fileOf({ m: f32([2, 2], 0, 16), v: entry("I32", [2], [16, 24]) }, 24));
  for (const [first, rows] of [[0, 3], [2, 1], [-1, 1], [0, -1], [0.5, 1], [0, NaN]]) {
    await assertRejects(() => file.readRows("m", first, rows), WeightsError, "[2, 2]");
  }
  await assertRejects(() => file.readRows("v", 0, 1), WeightsError, "[2]");
  await assertRejects(() => file.readFloat32("v"), WeightsError, '"v" of "m.safetensors"');
  assertEquals((await file.read("v")).length, 8);
});

Deno.test("only the ranges asked for are read", async () => {
  const bytes = fileOf({ m: f32([4, 2], 0, 32) }, 32);
  const ranges: [number, number][] = [];
  const source = memorySource("m", bytes);
  const file = await openSafetensors({
    name: "m",
    size: bytes.length,
    read: (offset, length) => (ranges.push([offset, length]), source.read(offset, length)),
  });
  await file.readRows("m", 2, 1);
  const data = bytes.length - 32;
  assertEquals(ranges, [[0, 8], [8, data - 8], [data + 16, 8]]);
});

Deno.test("memory sources give copies and refuse other ranges", async () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const source = memorySource("x", bytes);
  (await source.read(1, 2))[0] = 9;
  assertEquals([...bytes], [1, 2, 3]);
  for (const [offset, length] of [[0, 4], [4, 0], [-1, 1], [0, -1], [0.5, 1], [2 ** 53, 1]]) {
    await assertRejects(() => source.read(offset, length), WeightsError, '"x"');
  }
});
