import { assert, assertEquals } from "@std/assert";
import { Gpu } from "../gpu/gpu.ts";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  input,
  normals,
  output,
  testGpu,
  withOutlier,
} from "../../tests/test_gpu.ts";
import { planPacked, recordPacking } from "../weights/packed.ts";
import { fewRows, type Form } from "./few_rows.ts";
import { fewRowsReference } from "./few_rows_reference.ts";
import { manyRows } from "./many_rows.ts";
import { matmul } from "./matmul.ts";
import { type StoredDtype, testMatrix } from "./matrix_reference.ts";
import { addBias, glu, rmsnorm } from "./rows.ts";

Deno.test.afterAll(closeTestGpus);

interface Case {
  rows: number;
  /** Rows of each matrix that is stacked. */
  parts: number[];
  k: number;
  dtype: StoredDtype;
  form: Form;
  norm?: boolean;
  bias?: boolean;
}

/** About the sizes of blocks (8 × 32), segments (256 and 512), chunks, and a texture's rows. */
const CASES: Case[] = [
  { rows: 1, parts: [192, 64, 64], k: 192, dtype: "BF16", form: "store", norm: true },
  { rows: 2, parts: [64, 32, 37], k: 264, dtype: "F16", form: "store", norm: true, bias: true },
  { rows: 1, parts: [33], k: 8, dtype: "F32", form: "add" },
  { rows: 9, parts: [130], k: 520, dtype: "BF16", form: "add" },
  { rows: 3, parts: [96, 96], k: 72, dtype: "F32", form: "silu", norm: true },
  { rows: 1, parts: [512, 512], k: 576, dtype: "BF16", form: "gelu_tanh", norm: true },
  { rows: 17, parts: [32, 32], k: 128, dtype: "F16", form: "silu" },
  { rows: 64, parts: [300], k: 64, dtype: "BF16", form: "store" },
];

Deno.test("products of packed weights are within their bound and have the bits of their steps", async () => {
  const gpu = await testGpu("software");
  const eps = 1e-5;
  for (const [i, one] of CASES.entries()) {
    const { rows, parts, k, dtype, form } = one;
    const n = parts.reduce((sum, part) => sum + part, 0);
    const gated = form === "silu" || form === "gelu_tanh";
    const x = withOutlier(normals(10 * i, rows * k), k);
    const weight = normals(10 * i + 1, k);
    const [bias, before] = [normals(10 * i + 2, n), normals(10 * i + 3, rows * n)];
    const matrices: Awaited<ReturnType<typeof testMatrix>>[] = [];
    for (const [p, part] of parts.entries()) {
      matrices.push(await testMatrix(gpu, normals(10 * i + 4 + p, part * k), [part, k], dtype));
    }
    const textures: GPUTexture[] = [];
    const [fused, stepped, many, ...apart] = await compute(gpu, (recorder) => {
      const xs = input(gpu, x).buffer;
      const norm = one.norm ? { weight: input(gpu, weight).buffer, eps } : undefined;
      const biases = one.bias ? input(gpu, bias).buffer : undefined;
      const start = (width: number) =>
        form === "add" ? input(gpu, before, [rows, n]) : output(gpu, [rows, width]);
      const packed = planPacked(matrices.map(({ matrix }) => matrix), (bytes) => {
        textures.push(gpu.texels.create(bytes)!);
        return textures[0];
      })!;
      recordPacking(recorder, packed);
      const fused = start(gated ? n / 2 : n);
      const args = { x: xs, norm, out: fused.buffer, rows, form };
      fewRows(recorder, { ...args, weight: { ...packed, bias: biases } });

      let h = xs;
      if (norm) {
        h = output(gpu, [rows, k]).buffer;
        rmsnorm(recorder, { x: xs, weight: norm.weight, out: h, rows, width: k, eps });
      }
      const addScaled = form === "add" ? 1 : undefined;
      const product = (p: number, y: GPUBuffer, columns?: { stride: number; first: number }) =>
        matmul(recorder, { x: h, weight: matrices[p].matrix, y, rows, addScaled, columns });
      if (gated) {
        const [gate, up] = parts.map((part) => output(gpu, [rows, part]));
        product(0, gate.buffer);
        product(1, up.buffer);
        glu(recorder, gate.buffer, up.buffer, rows * n / 2, form);
        const many = output(gpu, [rows, n / 2]);
        const products = [{ out: many.buffer }];
        assert(manyRows(recorder, { x: h, weight: packed, rows, form, products }));
        return [fused, gate, many];
      }
      const stepped = start(n);
      let first = 0;
      parts.forEach((part, p) => {
        product(p, stepped.buffer, { stride: n, first });
        first += part;
      });
      if (biases) addBias(recorder, { x: stepped.buffer, bias: biases, rows, width: n });
      const whole = { ...packed, bias: biases };
      const many = start(n);
      assert(
        manyRows(recorder, { x: h, weight: whole, rows, form, products: [{ out: many.buffer }] }),
      );
      // Of what is stacked, each part by itself.
      const apart = form === "store" ? parts.map((part) => output(gpu, [rows, part])) : [];
      let place = 0;
      const products = apart.map(({ buffer: out }, p) => {
        const product = { out, first: place, count: parts[p] };
        place += parts[p];
        return product;
      });
      assert(manyRows(recorder, { x: h, weight: whole, rows, form, products }));
      return [fused, stepped, many, ...apart];
    });
    const name = JSON.stringify(one);
    assertSameBits(fused, stepped, name);
    assertSameBits(many, stepped, `many rows, ${name}`);
    let first = 0;
    apart.forEach((values, p) => {
      const columns = Float32Array.from(
        values,
        (_, i) => stepped[Math.floor(i / parts[p]) * n + first + i % parts[p]],
      );
      assertSameBits(values, columns, `part ${p}, ${name}`);
      first += parts[p];
    });
    const w = Float32Array.from(matrices.flatMap(({ values }) => [...values]));
    const inputs = {
      x,
      norm: one.norm ? { weight, eps } : undefined,
      w,
      bias: one.bias ? bias : undefined,
      before,
    };
    assertWithin(fused, fewRowsReference(inputs, [rows, n, k], form), name);
    for (const texture of textures) gpu.texels.destroy(texture);
    for (const { matrix } of matrices) {
      for (const { buffer } of matrix.windows) gpu.buffers.destroy(buffer);
    }
  }
});

Deno.test("many rows go in parts where a texture does not hold them, and not at all without one", async () => {
  using gpu = await Gpu.open({ profile: "software", limits: { maxTextureDimension2D: 8 } });
  const [rows, n, k] = [150, 130, 264];
  const { matrix } = await testMatrix(gpu, normals(1, n * k), [n, k], "F16");
  const [x, before] = [normals(2, rows * k), normals(3, rows * n)];
  const [parted, whole] = await compute(gpu, (recorder) => {
    const packed = planPacked([matrix], (bytes) => gpu.texels.create(bytes))!;
    recordPacking(recorder, packed);
    const [parted, whole] = [0, 1].map(() => input(gpu, before, [rows, n]));
    const args = { x: input(gpu, x).buffer, rows };
    const products = [{ out: parted.buffer }];
    const earlier = recorder.dispatches;
    assert(manyRows(recorder, { ...args, weight: packed, form: "add", products }));
    assertEquals(recorder.dispatches - earlier, 3);
    matmul(recorder, { ...args, weight: matrix, y: whole.buffer, addScaled: 1 });
    return [parted, whole];
  });
  assertSameBits(parted, whole, "in parts");

  using poor = await Gpu.open({ profile: "software", memoryBudget: 1 << 20 });
  const recorder = poor.record();
  const packed = { dtype: 2, rows: 64, columns: 4096, parts: [], texture: {} as GPUTexture };
  const out = poor.tensor([64, 64]).buffer;
  const args = { x: out, weight: packed, rows: 64, form: "store" as const, products: [{ out }] };
  assert(!manyRows(recorder, args));
  assertEquals(recorder.dispatches, 0);
  recorder.close();
});
