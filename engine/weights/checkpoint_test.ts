import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { WeightsError } from "../errors.ts";
import { memorySource } from "./byte_source.ts";
import { Checkpoint } from "./checkpoint.ts";
import { encodeSafetensors } from "./safetensors_writer.ts";

const shard = (...names: string[]) =>
  encodeSafetensors(names.map((name, i) => ({
    name,
    dtype: "F32" as const,
    shape: [1, 2],
    data: new Float32Array([i, i + 10]),
  })));

const files = new Map([["1.safetensors", shard("a", "b")], ["2.safetensors", shard("c", "a")]]);

function openIndex(weightMap: unknown, opened: string[] = []) {
  return Checkpoint.openSharded({ weight_map: weightMap }, "index.json", (file) => {
    opened.push(file);
    return Promise.resolve(memorySource(file, files.get(file)!));
  });
}

Deno.test("shards are opened once each and seen as one; the index decides where a tensor is", async () => {
  const opened: string[] = [];
  const checkpoint = await openIndex(
    { b: "1.safetensors", a: "2.safetensors", c: "2.safetensors" },
    opened,
  );
  assertEquals(opened, ["1.safetensors", "2.safetensors"]);
  assertEquals([...checkpoint.names()], ["b", "a", "c"]);
  assertEquals([...await checkpoint.readFloat32("a")], [1, 11]);
  assertEquals((await checkpoint.readRows("c", 0, 1)).length, 8);
  assertEquals(checkpoint.has("d"), false);
  assertEquals(checkpoint.info("b").shape, [1, 2]);
});

Deno.test("a file name that leaves the folder is refused before anything is opened", async () => {
  const bad = ["../x.safetensors", "/etc/x", "a/b", "..\\x", "..", ".", "", "C:x", "a\0b", 3, null];
  for (const file of bad) {
    const opened: string[] = [];
    await assertRejects(
      () => openIndex({ a: "1.safetensors", b: file }, opened),
      WeightsError,
      'tensor "b"',
    );
    assertEquals(opened, []);
  }
});

Deno.test("an index without a map, and a tensor that its shard lacks", async () => {
  for (const map of [undefined, null, [], {}, "x"]) {
    await assertRejects(() => openIndex(map), WeightsError, "weight_map");
  }
  await assertRejects(
    () => Checkpoint.openSharded(null, "i.json", () => Promise.reject()),
    WeightsError,
    '"i.json"',
  );
  await assertRejects(
    () => openIndex({ z: "1.safetensors" }),
    WeightsError,
    'places tensor "z" in "1.safetensors"',
  );
});

Deno.test("expectShape names the tensor and both shapes", async () => {
  const checkpoint = await Checkpoint.open(memorySource("m.safetensors", shard("a.weight")));
  assertEquals(checkpoint.expectShape("a.weight", [1, 2]).dtype, "F32");
  for (const shape of [[2, 1], [2], [1, 2, 1], []]) {
    assertThrows(
      () => checkpoint.expectShape("a.weight", shape),
      WeightsError,
      `Tensor "a.weight" has shape [1, 2], expected [${shape.join(", ")}]`,
    );
  }
  assertThrows(
    () => checkpoint.expectShape("b.weight", [1]),
    WeightsError,
    'Tensor "b.weight" is missing from "m.safetensors" (nearest: "a.weight")',
  );
});
