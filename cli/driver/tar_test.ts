import { assertEquals, assertThrows } from "@std/assert";
import { readTar } from "./tar.ts";
import { makeTar } from "./tar_fixture.ts";

Deno.test("readTar() returns the files with their bytes", () => {
  const long = new Uint8Array(1000).fill(7);
  const files = readTar(makeTar([{ name: "a.json", data: new Uint8Array([1, 2]) }, {
    name: "libvulkan.so.1",
    data: long,
  }]));
  assertEquals(files.map((file) => file.name), ["a.json", "libvulkan.so.1"]);
  assertEquals([...files[0].data], [1, 2]);
  assertEquals(files[1].data, long);
});

Deno.test("readTar() refuses names that lead out of the folder", () => {
  for (const name of ["../evil", "/etc/passwd", "a/b", "..", ""]) {
    const archive = makeTar([{ name, data: new Uint8Array(1) }]);
    assertThrows(() => readTar(archive), RangeError, "is not a plain file name");
  }
});

Deno.test("readTar() refuses links, damaged headers, and files past the end", () => {
  const data = new Uint8Array(600);
  const link = makeTar([{ name: "a", data, type: "2" }]);
  assertThrows(() => readTar(link), RangeError, '"a" is not a regular file');
  const damaged = makeTar([{ name: "a", data }]);
  damaged[0] ^= 1;
  assertThrows(() => readTar(damaged), RangeError, "the header at byte 0 is damaged");
  const cut = makeTar([{ name: "a", data }]).slice(0, 1024);
  assertThrows(() => readTar(cut), RangeError, '"a" runs past its end');
});
