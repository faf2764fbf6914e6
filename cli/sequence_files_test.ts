import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { PalimpsestError, UsageError } from "../engine/errors.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import { encodeSafetensors } from "../engine/weights/safetensors_writer.ts";
import { checkEdits, readEdits, readTokens } from "./sequence_files.ts";

const MATRIX = Float32Array.of(1, 2, 3, 4, 5, 6);
const POST = "blocks.1.hook_resid_post";

/** A folder with vectors; `write` puts JSON (or a text as it is) beside them and gives its path. */
async function withFiles(
  run: (write: (value: unknown) => Promise<string>, vectors: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const vectors = `${folder}/vectors.safetensors`;
    const tensors = [
      { name: "matrix", dtype: "F32", shape: [2, 3], data: MATRIX },
      { name: "vector", dtype: "F32", shape: [3], data: MATRIX.subarray(0, 3) },
      { name: "broken", dtype: "F32", shape: [2], data: Float32Array.of(1, NaN) },
    ] as const;
    await Deno.writeFile(vectors, encodeSafetensors(tensors));
    let count = 0;
    await run(async (value) => {
      const path = `${folder}/${count++}.json`;
      await Deno.writeTextFile(path, typeof value === "string" ? value : JSON.stringify(value));
      return path;
    }, vectors);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readTokens() takes lists of ids and nothing else", () =>
  withFiles(async (write) => {
    assertEquals(await readTokens(await write([[1, 2], [3]])), [[1, 2], [3]]);
    assertEquals(await readTokens(await write([4, 5])), [[4, 5]]);
    const others = [
      [],
      [[]],
      [1, [2]],
      [[1], 2],
      [-1],
      { a: 1 },
      [["1"]],
      [[1.5]],
      [[-1]],
      [[null]],
      null,
      "[[1]",
    ];
    for (const other of others) {
      const path = await write(other);
      await assertRejects(() => readTokens(path), UsageError, path, JSON.stringify(other));
    }
    await assertRejects(() => readTokens("/none.json"), UsageError, 'Cannot read "/none.json"');
  }));

Deno.test("readEdits() reads a vector, a row of a matrix, and leaves defaults to the engine", () =>
  withFiles(async (write, file) => {
    const path = await write([
      { hook: POST, op: "add", vector: { file, tensor: "matrix", row: 1 }, scale: 2.5 },
      { hook: "logits", op: "project", vector: { file, tensor: "vector" }, positions: [0, -1] },
      { hook: POST, op: "replace", vector: { file, tensor: "vector" }, positions: "all" },
    ]);
    assertEquals(await readEdits(path, 3), [
      { hook: POST, op: "add", vector: Float32Array.of(4, 5, 6), scale: 2.5 },
      { hook: "logits", op: "project", vector: Float32Array.of(1, 2, 3), positions: [0, -1] },
      { hook: POST, op: "replace", vector: Float32Array.of(1, 2, 3), positions: "all" },
    ]);
  }));

Deno.test("a list of scales has one for each sequence, and is cut with them", () =>
  withFiles(async (write, file) => {
    const edit = { hook: POST, op: "add", vector: { file, tensor: "vector" } };
    const edits = await readEdits(await write([{ ...edit, scale: [1, 2, 3] }, edit]), 3);
    assertEquals(edits.map(({ scale }) => scale), [[1, 2, 3], undefined]);
  }));

Deno.test("readEdits() refuses what it does not know", () =>
  withFiles(async (write, file) => {
    const good = { hook: POST, op: "add", vector: { file, tensor: "vector" } };
    const refused = async (change: object, message: string, kind: typeof PalimpsestError) => {
      const path = await write([{ ...good, ...change }]);
      await assertRejects(() => readEdits(path, 3), kind, message);
    };
    await refused({ op: "scale" }, "op", UsageError);
    await refused({ scale: "2" }, "scale", UsageError);
    await refused({ scale: [1, 2] }, "2 scales, but there are 3 sequences", UsageError);
    await refused({ positions: "last" }, "positions", UsageError);
    await refused({ positions: [0.5] }, "positions", UsageError);
    await refused({ strength: 1 }, "strength", UsageError);
    await refused({ vector: [1, 2, 3] }, "vector", UsageError);
    await refused({ vector: { file, tensor: "none" } }, '"none"', PalimpsestError);
    await refused({ vector: { file, tensor: "matrix", row: 2 } }, "row 2", UsageError);
    await refused({ vector: { file, tensor: "vector", row: 0 } }, "its shape is [3]", UsageError);
    await refused({ vector: { file, tensor: "broken" } }, "not finite", UsageError);
    await refused({ vector: { file: "/none", tensor: "x" } }, 'Cannot open "/none"', UsageError);
    await assertRejects(async () => await readEdits(await write(good), 3), UsageError, "Edits");
  }));

Deno.test("checkEdits() refuses edits that would do nothing", () => {
  const spec = { layers: 4 } as ModelSpec;
  const sequences = [[1], [1, 2, 3]];
  const check = (hook: string, positions?: number[]) => {
    const edit = { hook, op: "add", vector: new Float32Array(3), positions } as const;
    checkEdits([edit], spec, ["hook_embed", POST], sequences);
  };
  check(POST, [0, 2, -3]);
  check("hook_embed");
  check("blocks.1.hook_mlp_out");
  checkEdits([], spec, ["logits"], sequences);
  assertThrows(() => check(POST, [3]), UsageError, "the longest sequence has 3 tokens");
  assertThrows(() => check(POST, [0, -4]), UsageError, "position -4");
  assertThrows(() => check("blocks.2.hook_resid_pre"), UsageError, "no captured hook");
  assertThrows(() => check("logits"), UsageError, "no captured hook");
  assertThrows(() => check("blocks.4.hook_resid_pre"), UsageError, "Unknown hook");
});
