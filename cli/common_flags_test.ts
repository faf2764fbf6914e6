import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { askedProfile, parseBytes, parseRanges, sourceOptions } from "./common_flags.ts";

Deno.test("parseBytes() knows decimal and binary units, in any case", () => {
  assertEquals(parseBytes("4096"), 4096);
  assertEquals(parseBytes("600MB"), 600e6);
  assertEquals(parseBytes("1.5 GiB"), 1.5 * 2 ** 30);
  assertEquals(parseBytes(" 2 kib "), 2048);
  assertEquals(parseBytes("7b"), 7);
  assertEquals(parseBytes("2TB"), 2e12);
});

Deno.test("parseBytes() refuses what is no size", () => {
  for (const text of ["", "MB", "-1MB", "0", "1e9", "12 elephants", "1.GB", "1,5GB", "toString"]) {
    assertThrows(() => parseBytes(text), UsageError, `size "${text}"`);
  }
});

Deno.test("parseRanges() gives every number once, in order", () => {
  assertEquals(parseRanges(["0-4"], 15, "position"), [0, 1, 2, 3, 4]);
  assertEquals(parseRanges(["7", "3 - 5", "4", "0"], 15, "position"), [0, 3, 4, 5, 7]);
  assertEquals(parseRanges(["15"], 15, "position"), [15]);
});

Deno.test("parseRanges() refuses what is no number or out of range, before it counts so far", () => {
  for (const part of ["", "x", "-1", "1-", "4-3", "1.5", "16", "0-16", "0-999999999", "1-2-3"]) {
    assertThrows(() => parseRanges([part], 15, "position"), UsageError, `position "${part}"`);
  }
  assertThrows(() => parseRanges(["16"], 15, "position"), UsageError, "from 0 to 15");
});

Deno.test("parseRanges() reads negative numbers where there are any", () => {
  assertEquals(parseRanges(["-3-1", "4"], 15, "position", -3), [-3, -2, -1, 0, 1, 4]);
  assertEquals(parseRanges(["-3--2", "-1"], 15, "position", -3), [-3, -2, -1]);
  assertThrows(() => parseRanges(["-4"], 15, "position", -3), UsageError, "from -3 to 15");
  assertThrows(() => parseRanges(["-1--3"], 15, "position", -3), UsageError);
  assertThrows(() => parseRanges(["-1"], 15, "position"), UsageError, "from 0 to 15");
});

Deno.test("sourceOptions() leaves it to the environment whether to be offline, unless the flag is given", () => {
  const { signal } = new AbortController();
  assertEquals(sourceOptions({ offline: true }).offline, true);
  assertEquals(sourceOptions({ offline: false }).offline, undefined);
  assertEquals(sourceOptions({ offline: false }, signal).signal, signal);
});

Deno.test("askedProfile() takes the classes of adapters, and nothing else", () => {
  assertEquals(askedProfile(() => undefined), undefined);
  assertEquals(askedProfile(() => ""), undefined);
  assertEquals(askedProfile(() => "apple"), "apple");
  for (const name of ["gpu", "Apple", "toString"]) {
    assertThrows(
      () => askedProfile(() => name),
      UsageError,
      "software, integrated, discrete, apple",
    );
  }
});
