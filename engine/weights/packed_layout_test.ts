import { assertEquals } from "@std/assert";
import { storedMatrix } from "../audit/stored.ts";
import { Gpu } from "../gpu/gpu.ts";
import { readTexels } from "../audit/read_texels.ts";
import { BACKEND, normals } from "../../tests/test_gpu.ts";
import { BLOCK, planPacked, recordPacking, texelsOfRow } from "./packed.ts";
import { packRows } from "./packed_layout.ts";

Deno.test("the host packs rows as the device does", async () => {
  using gpu = await Gpu.open({ backend: BACKEND, profile: "software" });
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    for (const [rows, columns] of [[32, 8], [70, 24], [97, 136], [5, 64]]) {
      const matrix = await storedMatrix(gpu, normals(1, rows * columns), [rows, columns], dtype);
      const packed = planPacked([matrix], (bytes) => gpu.texels.create(bytes))!;
      const texels = Math.ceil(rows / BLOCK) * BLOCK * texelsOfRow(matrix.dtype, columns);
      const stored = gpu.tensor([rows * matrix.rowBytes / 4]);
      const recorder = gpu.record();
      recordPacking(recorder, packed);
      const out = readTexels(recorder, packed.texture, texels);
      const [{ buffer }] = matrix.windows;
      recorder.copy(buffer, 0, stored.buffer, 0, rows * matrix.rowBytes);
      await recorder.submit();
      const [expected, bytes] = await gpu.read([out, stored]);
      const target = new Uint8Array(expected.byteLength).fill(7);
      packRows(new Uint8Array(bytes), target, matrix);
      assertEquals(target, new Uint8Array(expected), `${dtype} ${rows}x${columns}`);
    }
  }
});
