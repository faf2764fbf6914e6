import { assertEquals } from "@std/assert";
import { storedMatrix } from "../audit/stored.ts";
import { Gpu } from "../gpu/gpu.ts";
import { BACKEND, normals } from "../../tests/test_gpu.ts";
import { BLOCK, planPacked, recordPacking, texelsOfRow } from "./packed.ts";
import { packRows } from "./packed_layout.ts";

/** Copies a texture to a buffer. */
const SHADER = `
@group(0) @binding(0) var t: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> count: u32;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < count) { out[id.x] = textureLoad(t, vec2(id.x % 1024u, id.x / 1024u)); }
}`;

Deno.test("the host packs rows as the device does", async () => {
  using gpu = await Gpu.open({ backend: BACKEND, profile: "software" });
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    for (const [rows, columns] of [[32, 8], [70, 24], [97, 136], [5, 64]]) {
      const matrix = await storedMatrix(gpu, normals(1, rows * columns), [rows, columns], dtype);
      const packed = planPacked([matrix], (bytes) => gpu.texels.create(bytes))!;
      const texels = Math.ceil(rows / BLOCK) * BLOCK * texelsOfRow(matrix.dtype, columns);
      const [out, stored] = [gpu.tensor([4 * texels]), gpu.tensor([rows * matrix.rowBytes / 4])];
      const recorder = gpu.record();
      recordPacking(recorder, packed);
      const kernel = gpu.kernels.get("packed_layout_test", SHADER);
      const grid = [Math.ceil(texels / 64), 1, 1] as const;
      recorder.dispatch(kernel, [packed.texture, out.buffer], [{ u32: texels }], grid);
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
