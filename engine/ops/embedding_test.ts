import { assertEquals } from "@std/assert";
import { Gpu } from "../gpu/gpu.ts";
import {
  assertWithin,
  closeTestGpus,
  compute,
  input,
  normals,
  output,
  testGpu,
} from "../../tests/test_gpu.ts";
import { embed } from "./embedding.ts";
import { embeddingReference } from "./embedding_reference.ts";
import { testMatrix } from "./matrix_reference.ts";

Deno.test.afterAll(closeTestGpus);

/** The last element of the odd row lengths lies in the half of a word whose other half is padding. */
async function check(gpu: Gpu, windows: number, hidden: number): Promise<void> {
  const vocab = 40;
  const ids = Uint32Array.of(39, 0, 7, 7, 15, 16, 31, 32, 2);
  const values = normals(hidden, vocab * hidden);
  values[7 * hidden] = 2 ** -24; // an f16 denormal
  values[7 * hidden + 1] = -0;
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    const { matrix, values: table } = await testMatrix(gpu, values, [vocab, hidden], dtype);
    assertEquals(matrix.windows.length, dtype === "F32" ? windows : Math.ceil(windows / 2));
    const scales = [1, Math.sqrt(hidden)];
    const actual = await compute(gpu, (recorder) =>
      scales.map((scale) => {
        const out = output(gpu, [ids.length, hidden]);
        const args = { ids: input(gpu, ids).buffer, table: matrix, out: out.buffer, scale };
        embed(recorder, { ...args, tokens: ids.length });
        return out;
      }));
    scales.forEach((scale, i) =>
      assertWithin(actual[i], embeddingReference(ids, table, hidden, scale), `${dtype} · ${scale}`)
    );
  }
}

Deno.test("embedding gathers rows of each dtype, exactly at scale 1", async () => {
  const gpu = await testGpu("software");
  for (const hidden of [2, 7, 64, 100]) await check(gpu, 1, hidden);
});

Deno.test("embedding gathers from every window of a table that is cut", async () => {
  // 64 columns, or 63 and one of padding: 16 rows of f32 a window, 32 of f16.
  using gpu = await Gpu.open({ limits: { maxStorageBufferBindingSize: 4096 } });
  assertEquals(gpu.limits.maxStorageBufferBindingSize, 4096);
  for (const hidden of [63, 64]) await check(gpu, 3, hidden);
});
