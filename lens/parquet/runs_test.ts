import { assertThrows } from "@std/assert";
import { checkDeltaHeader, checkRuns } from "./runs.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

Deno.test("checkRuns() passes what writers make: repeated values, packed groups, padding", () => {
  checkRuns(bytes(), 3, 0);
  checkRuns(bytes(100 << 1 & 0x7f | 0x80, 100 >> 6, 5), 3, 100); // a run of 100
  checkRuns(bytes(2 << 1 | 1, ...Array(6).fill(255)), 3, 10); // two groups of eight, of which ten count
  checkRuns(bytes(4 << 1, 7, 1 << 1 | 1, 255), 1, 12);
  checkRuns(bytes(4 << 1, 7, 0, 0, 0), 1, 4); // what comes after the last value does not matter
});

Deno.test("checkRuns() refuses runs of more values than there are", () => {
  // 2²⁸ times the same value, in five bytes: a decoder would make them all.
  assertThrows(() => checkRuns(bytes(0x80, 0x80, 0x80, 0x80, 2, 7), 1, 10), Error, "a run of");
  assertThrows(() => checkRuns(bytes(0x81, 0x80, 0x80, 0x80, 2, 7), 1, 10), Error, "a run of");
  assertThrows(() => checkRuns(bytes(255, 255, 255, 255, 255, 1), 1, 10), Error, "over 32 bits");
  assertThrows(() => checkRuns(bytes(0x80), 1, 10), Error, "ends within");
  assertThrows(() => checkRuns(bytes(2, 7), 33, 10), Error, "33 bits");
});

Deno.test("checkDeltaHeader() refuses blocks that no writer makes, such as those that go backwards", () => {
  checkDeltaHeader(bytes(0x80, 1, 4, 6, 0)); // 128 values in 4 parts
  assertThrows(() => checkDeltaHeader(bytes(0x80, 1, 0, 6)), Error, "128 values in 0 parts");
  assertThrows(() => checkDeltaHeader(bytes(0, 4, 6)), Error, "0 values");
  const minusOne = [255, 255, 255, 255, 15];
  assertThrows(() => checkDeltaHeader(bytes(0x80, 1, ...minusOne)), Error, "4294967295 parts");
  assertThrows(() => checkDeltaHeader(bytes(...minusOne, 1)), Error, "4294967295 values");
});
