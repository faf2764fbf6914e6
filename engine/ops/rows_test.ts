import { assertEquals } from "@std/assert";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  input,
  normals,
  output,
  PROFILES,
  testGpu,
  withOutlier,
} from "../../tests/test_gpu.ts";
import {
  componentReference,
  editReference,
  type Entry,
  gluReference,
  rmsnormReference,
  rowNormReference,
  softcapReference,
} from "./rows_reference.ts";
import {
  addBias,
  addInPlace,
  copyRows,
  editRows,
  glu,
  projectRows,
  rmsnorm,
  rowNorm,
  softcap,
} from "./rows.ts";

Deno.test.afterAll(closeTestGpus);

/** Rows and widths about the sizes of chunks and workgroups; the last leaves no room for eight rows a workgroup. */
const SHAPES = [[1, 1], [3, 3], [9, 63], [8, 64], [17, 65], [5, 200], [2, 2049], [5, 20_000]];

/** What a norm of each head is called with: tokens · heads rows of one head. */
const HEADS = [[24, 8], [2 * 9, 16], [3 * 7, 24], [4 * 16, 64], [5 * 9, 80], [33, 128], [2, 256]];

const inputs = [...SHAPES, ...HEADS].flatMap(([rows, width], i) => {
  const x = normals(i, rows * width);
  const weight = normals(100 + i, width);
  const shape = { rows, width, weight, eps: 1e-6 };
  return [
    { ...shape, x, name: `[${rows}, ${width}]` },
    { ...shape, x: withOutlier(x, width), name: `[${rows}, ${width}] with an outlier` },
    { ...shape, x: x.map((v) => 1e-3 * v), eps: 1e-5, name: `[${rows}, ${width}], eps counts` },
  ];
});

async function rmsnorms(profile: typeof PROFILES[number]) {
  const gpu = await testGpu(profile);
  return await compute(gpu, (recorder) =>
    inputs.map(({ x, weight, rows, width, eps }) => {
      const out = output(gpu, [rows, width]);
      const buffers = { x: input(gpu, x).buffer, weight: input(gpu, weight).buffer };
      rmsnorm(recorder, { ...buffers, out: out.buffer, rows, width, eps });
      return out;
    }));
}

async function rowNorms(profile: typeof PROFILES[number]) {
  const gpu = await testGpu(profile);
  return await compute(gpu, (recorder) =>
    inputs.map(({ x, rows, width }) => {
      const out = output(gpu, [rows]);
      rowNorm(recorder, { x: input(gpu, x).buffer, out: out.buffer, rows, width });
      return out;
    }));
}

for (const profile of PROFILES) {
  Deno.test(`rmsnorm is within its bound (${profile})`, async () => {
    const actual = await rmsnorms(profile);
    inputs.forEach(({ x, weight, rows, width, eps, name }, i) =>
      assertWithin(actual[i], rmsnormReference(x, weight, rows, width, eps), name)
    );
  });

  Deno.test(`a norm that is added has the bits of a norm and a sum (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const sums = inputs.map(({ x }, i) => normals(200 + i, x.length));
    const found = await compute(
      gpu,
      (recorder) =>
        inputs.flatMap(({ x, weight, rows, width, eps }, i) => {
          const [once, twice] = [sums[i], sums[i]].map((values) => input(gpu, values));
          const y = output(gpu, [rows, width]);
          const buffers = { x: input(gpu, x).buffer, weight: input(gpu, weight).buffer };
          const args = { ...buffers, rows, width, eps };
          rmsnorm(recorder, { ...args, out: once.buffer, add: true });
          rmsnorm(recorder, { ...args, out: y.buffer });
          addInPlace(recorder, twice.buffer, y.buffer, x.length);
          return [once, twice];
        }),
    );
    inputs.forEach(({ x, weight, rows, width, eps, name }, i) => {
      const [once, twice] = found.slice(2 * i);
      assertSameBits(once, twice, name);
      assertWithin(once, rmsnormReference(x, weight, rows, width, eps, sums[i]), name);
    });
  });

  Deno.test(`row_norm is within its bound (${profile})`, async () => {
    const actual = await rowNorms(profile);
    inputs.forEach(({ x, rows, width, name }, i) =>
      assertWithin(actual[i], rowNormReference(x, rows, width), name)
    );
  });

  Deno.test(`a row has the same norm alone and in a batch, bit by bit (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const [rows, width] = [11, 200];
    const x = withOutlier(normals(1, rows * width), width);
    const weight = input(gpu, normals(2, width)).buffer;
    const norms = await compute(gpu, (recorder) => {
      const one = (from: number, to: number) => {
        const part = input(gpu, x.slice(from * width, to * width)).buffer;
        const shape = { rows: to - from, width };
        const normed = output(gpu, [to - from, width]);
        const lengths = output(gpu, [to - from]);
        rmsnorm(recorder, { x: part, weight, out: normed.buffer, ...shape, eps: 1e-6 });
        rowNorm(recorder, { x: part, out: lengths.buffer, ...shape });
        return [normed, lengths];
      };
      return [...one(0, rows), ...one(9, 10)];
    });
    assertSameBits(norms[2], norms[0].slice(9 * width, 10 * width), "rmsnorm");
    assertSameBits(norms[3], norms[1].slice(9, 10), "row_norm");
  });

  for (const op of ["add", "replace", "project"] as const) {
    Deno.test(`${op} edits the listed rows only (${profile})`, async () => {
      const gpu = await testGpu(profile);
      const cases = SHAPES.slice(1).map(([rows, width], i) => {
        const vectors = normals(20 + i, 3 * width);
        for (let v = 0; v < 3 && op === "project"; v++) {
          const one = vectors.subarray(v * width, (v + 1) * width);
          const norm = Math.hypot(...one);
          one.forEach((value, i) => one[i] = value / norm);
        }
        // Every row but the second, from the last to the first.
        const listed = Array.from({ length: rows }, (_, r) => rows - 1 - r).filter((r) => r !== 1);
        const entries = listed.map((row, n): Entry => ({
          row,
          vector: n % 3,
          coefficient: [0, 1, -2.5, 1000][n % 4],
        }));
        return { x: withOutlier(normals(10 + i, rows * width), width), vectors, entries, width };
      });
      const actual = await compute(
        gpu,
        (recorder) =>
          cases.map(({ x, vectors, entries, width }) => {
            const tensor = input(gpu, x);
            const words = new Uint32Array(entries.length * 4);
            const floats = new Float32Array(words.buffer);
            entries.forEach(({ row, vector, coefficient }, n) => {
              words.set([row, vector], 4 * n);
              floats[4 * n + 2] = coefficient;
            });
            const args = {
              x: tensor.buffer,
              vectors: input(gpu, vectors).buffer,
              entries: input(gpu, words).buffer,
              count: entries.length,
              width,
            };
            if (op === "project") projectRows(recorder, args);
            else editRows(recorder, op, args);
            return tensor;
          }),
      );
      cases.forEach(({ x, vectors, entries, width }, i) =>
        assertWithin(
          actual[i],
          editReference(op, x, vectors, entries, width),
          `width ${width}`,
        )
      );
    });
  }
}

/** Rows whose components are taken from rows of another tensor: some twice, one equal to the row itself. */
async function exchanged(profile: typeof PROFILES[number]) {
  const gpu = await testGpu(profile);
  const cases = SHAPES.slice(1).map(([rows, width], i) => {
    const x = withOutlier(normals(40 + i, rows * width), width);
    const others = withOutlier(normals(50 + i, 3 * width), width);
    others.set(x.subarray(0, width), width);
    const vectors = normals(60 + i, 2 * width);
    for (let v = 0; v < 2; v++) {
      const one = vectors.subarray(v * width, (v + 1) * width);
      const norm = Math.hypot(...one);
      one.forEach((value, i) => one[i] = value / norm);
    }
    const listed = Array.from({ length: rows }, (_, row) => row).filter((row) => row !== 1);
    const entries = listed.map((row): Entry => ({
      row,
      vector: row % 2,
      coefficient: row === 0 ? 1 : row % 3,
    }));
    return { x, vectors, others, entries, width };
  });
  const actual = await compute(
    gpu,
    (recorder) =>
      cases.map(({ x, vectors, others, entries, width }) => {
        const tensor = input(gpu, x);
        const words = entries.flatMap((
          { row, vector, coefficient },
        ) => [row, vector, coefficient, 0]);
        projectRows(recorder, {
          x: tensor.buffer,
          vectors: input(gpu, vectors).buffer,
          others: input(gpu, others).buffer,
          entries: input(gpu, Uint32Array.from(words)).buffer,
          count: entries.length,
          width,
        });
        return tensor;
      }),
  );
  return { cases, actual };
}

Deno.test("project takes components from rows of another tensor", async () => {
  const [software, gpu] = [await exchanged("software"), await exchanged("discrete")];
  software.cases.forEach(({ x, vectors, others, entries, width }, i) => {
    const expected = componentReference(x, vectors, others, entries, width);
    assertWithin(software.actual[i], expected, `width ${width}`);
    assertSameBits(gpu.actual[i], software.actual[i], `width ${width}`);
    const [row, same] = [software.actual[i].slice(0, width), x.slice(0, width)];
    assertSameBits(row, same, `width ${width}: equal rows stay`);
  });
});

Deno.test("both variants of the norms give the same bits", async () => {
  const [software, gpu] = [await rmsnorms("software"), await rmsnorms("discrete")];
  software.forEach((result, i) => assertSameBits(gpu[i], result, `rmsnorm ${inputs[i].name}`));
  const [a, b] = [await rowNorms("software"), await rowNorms("discrete")];
  a.forEach((result, i) => assertSameBits(b[i], result, `row_norm ${inputs[i].name}`));
});

Deno.test("copy_rows copies bits, and only to the rows that are named", async () => {
  const gpu = await testGpu("software");
  const [rows, width] = [7, 37];
  // Denormals, infinities and NaN are bits like any other.
  const x = Uint32Array.from({ length: rows * width }, (_, i) => Math.imul(i, 0x9e3779b9));
  const pairs = [[6, 0], [2, 4], [2, 1], [0, 5]];
  const [copied] = await compute(gpu, (recorder) => {
    const out = output(gpu, [6, width]);
    copyRows(recorder, {
      pairs: input(gpu, Uint32Array.from(pairs.flat())).buffer,
      x: input(gpu, x).buffer,
      out: out.buffer,
      count: pairs.length,
      width,
    });
    return [out];
  });
  const bits = new Uint32Array(copied.buffer);
  const row = (data: Uint32Array, r: number) => data.slice(r * width, (r + 1) * width);
  for (const [from, to] of pairs) assertEquals(row(bits, to), row(x, from));
  for (const untouched of [2, 3]) assertEquals(new Set(row(bits, untouched)).size, 1);
});

Deno.test("add rounds once", async () => {
  const gpu = await testGpu("software");
  const [x, y] = [normals(1, 1000), withOutlier(normals(2, 1000), 10)];
  const [sum] = await compute(gpu, (recorder) => {
    const tensor = input(gpu, x);
    addInPlace(recorder, tensor.buffer, input(gpu, y).buffer, x.length);
    return [tensor];
  });
  assertEquals(sum, x.map((value, i) => value + y[i])); // stored as f32: one rounding
});

Deno.test("add reaches every element when the workgroups exceed one dimension", async () => {
  const gpu = await testGpu("software");
  const count = 70_000 * 64 - 5;
  const x = Float32Array.from({ length: count }, (_, i) => i);
  const [sum] = await compute(gpu, (recorder) => {
    const tensor = input(gpu, x);
    addInPlace(recorder, tensor.buffer, input(gpu, x).buffer, count);
    return [tensor];
  });
  assertEquals(sum.findIndex((value, i) => value !== 2 * i), -1);
});

Deno.test("add_bias adds one row to every row", async () => {
  const gpu = await testGpu("software");
  for (const [rows, width] of SHAPES) {
    const [x, bias] = [normals(1, rows * width), normals(2, width).map((value) => 1e4 * value)];
    const [sum] = await compute(gpu, (recorder) => {
      const tensor = input(gpu, x);
      addBias(recorder, { x: tensor.buffer, bias: input(gpu, bias).buffer, rows, width });
      return [tensor];
    });
    assertEquals(sum, x.map((value, i) => value + bias[i % width]), `[${rows}, ${width}]`);
  }
});

for (const activation of ["silu", "gelu_tanh"] as const) {
  Deno.test(`glu is within its bound, also where exp overflows (${activation})`, async () => {
    const gpu = await testGpu("software");
    const sizes = [0, 1e-30, 1, 3, 9.6, 9.8, 12, 20, 79, 81, 89, 100, 1e13, 1e30];
    const normal = normals(1, 2000).map((value) => 5 * value);
    const gate = Float32Array.from([...sizes, ...sizes.map((value) => -value), ...normal]);
    const up = normals(2, gate.length);
    const [actual] = await compute(gpu, (recorder) => {
      const tensor = input(gpu, gate);
      glu(recorder, tensor.buffer, input(gpu, up).buffer, gate.length, activation);
      return [tensor];
    });
    assertWithin(actual, gluReference(gate, up, activation));
  });
}

Deno.test("softcap is within its bound, from the smallest to the largest numbers", async () => {
  const gpu = await testGpu("software");
  const sizes = [0, 1e-37, 1e-20, 1e-4, 0.5, 1, 3, 22.4, 22.5, 22.6, 30, 200, 600, 1e5, 1e30, 3e38];
  const normal = normals(1, 2000).map((value) => 30 * value);
  const x = Float32Array.from([...sizes, ...sizes.map((value) => -value), ...normal]);
  for (const cap of [30, 50, 1, 0.3]) {
    const [actual] = await compute(gpu, (recorder) => {
      const tensor = input(gpu, x);
      softcap(recorder, tensor.buffer, x.length, cap);
      return [tensor];
    });
    assertWithin(actual, softcapReference(x, cap), `cap ${cap}`);
  }
});

Deno.test("activations leave NaN as it is", async () => {
  const gpu = await testGpu("software");
  const gate = Float32Array.of(1, NaN, -1);
  const results = await compute(gpu, (recorder) => {
    const tensors = [input(gpu, gate), input(gpu, gate), input(gpu, gate)];
    const up = input(gpu, Float32Array.of(1, 1, 1)).buffer;
    glu(recorder, tensors[0].buffer, up, 3, "silu");
    glu(recorder, tensors[1].buffer, up, 3, "gelu_tanh");
    softcap(recorder, tensors[2].buffer, 3, 30);
    return tensors;
  });
  for (const result of results) assertEquals([...result].map(Number.isNaN), [false, true, false]);
});
