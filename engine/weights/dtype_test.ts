import { assertEquals, assertThrows } from "@std/assert";
import { WeightsError } from "../errors.ts";
import { isDtype, toFloat32 } from "./dtype.ts";

const bits = (...halves: number[]) => new Uint8Array(new Uint16Array(halves).buffer);

Deno.test("BF16 widens exactly: ordinary, denormal, infinite, signed zero, NaN", () => {
  const wide = toFloat32(bits(0x3f80, 0xc049, 0x0001, 0x7f80, 0xff80, 0x8000, 0x7fc1), "BF16");
  assertEquals([...wide.slice(0, 6)], [1, -3.140625, 2 ** -133, Infinity, -Infinity, -0]);
  assertEquals(wide[6], NaN);
});

Deno.test("F16 widens exactly: ordinary, denormal, largest, infinite, signed zero, NaN", () => {
  const wide = toFloat32(
    bits(0x3c00, 0xc248, 0x0001, 0x83ff, 0x7bff, 0x7c00, 0x8000, 0x7e01),
    "F16",
  );
  assertEquals(
    [...wide],
    [1, -3.140625, 2 ** -24, -1023 * 2 ** -24, 65504, Infinity, -0, NaN],
  );
});

Deno.test("every BF16 value is the upper half of its float32", () => {
  const halves = Uint16Array.from({ length: 1 << 16 }, (_, i) => i);
  const wide = new Uint32Array(toFloat32(new Uint8Array(halves.buffer), "BF16").buffer);
  assertEquals(wide.every((word, i) => word === (i << 16) >>> 0), true);
});

Deno.test("bytes may start at an odd offset, and the result is a copy", () => {
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    const stored = dtype === "F32" ? new Uint8Array(new Float32Array([1.5]).buffer) : undefined;
    const one = stored ?? bits(dtype === "F16" ? 0x3e00 : 0x3fc0);
    const shifted = new Uint8Array(one.length + 1);
    shifted.set(one, 1);
    const wide = toFloat32(shifted.subarray(1), dtype);
    shifted.fill(0);
    assertEquals([...wide], [1.5], dtype);
  }
});

Deno.test("integers and half elements are refused", () => {
  assertThrows(() => toFloat32(new Uint8Array(4), "I32"), WeightsError, "only F32, F16 and BF16");
  assertThrows(() => toFloat32(new Uint8Array(6), "F32"), WeightsError, "6 bytes as F32");
});

Deno.test("names of Object's own methods are no dtypes", () => {
  assertEquals(["F32", "toString", "F8_E4M3", 4].map(isDtype), [true, false, false, false]);
});
