/** Products of stacked matrices with one input, and what stands around them in a block: for the tests of kernels that do it at once. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Recorder } from "../engine/gpu/recorder.ts";
import { DeviceTensor } from "../engine/gpu/tensor.ts";
import {
  type Addend,
  type FewRowsArgs,
  type Form,
  isGated,
  type Join,
} from "../engine/ops/few_rows.ts";
import {
  editEntries,
  type FewRowsInputs,
  fewRowsReference,
  joinedReference,
} from "../engine/ops/few_rows_reference.ts";
import { matmul } from "../engine/ops/matmul.ts";
import { type StoredDtype, testMatrix } from "../engine/ops/matrix_reference.ts";
import type { WeightMatrix } from "../engine/weights/matrix.ts";
import { type PackedMatrix, planPacked, recordPacking } from "../engine/weights/packed.ts";
import { addBias, addInPlace, type Columns, editRows, glu, rmsnorm } from "../engine/ops/rows.ts";
import { input, normals, output, type Reference, withOutlier } from "./test_gpu.ts";

const EPS = 1e-5;

/** Packs matrices on the device, into textures that are noted for the test to destroy. */
export function packer(recorder: Recorder, textures: GPUTexture[]) {
  const make = (bytes: number) => {
    textures.push(recorder.gpu.texels.create(bytes)!);
    return textures.at(-1)!;
  };
  return (parts: readonly WeightMatrix[], padded = false): PackedMatrix => {
    const packed = planPacked(parts, make, padded)!;
    recordPacking(recorder, packed);
    return packed;
  };
}

type Stored = Awaited<ReturnType<typeof testMatrix>>;

/** Sizes and choices. */
export interface StackedCase {
  rows: number;
  /** Rows of each matrix. */
  parts: number[];
  k: number;
  dtype: StoredDtype;
  form: Form;
  norm?: boolean;
  /** What is joined to the input before its norm, if anything is. */
  join?: Join["kind"];
  bias?: boolean;
  /** An adapter's factors of each matrix, of rank 0 where it has none. */
  lora?: { ranks: number[]; dtype: StoredDtype; scale: number };
}

/** What a kernel reads besides the matrices. */
type Placed = Pick<FewRowsArgs, "x" | "norm"> & {
  join?: Addend;
  bias?: GPUBuffer;
};

/** One case with its numbers. */
export class StackedProduct {
  /** Rows of all matrices. */
  readonly n: number;
  readonly #gated: boolean;
  readonly #inputs: FewRowsInputs;

  private constructor(
    private readonly gpu: Gpu,
    private readonly one: StackedCase,
    seed: number,
    private readonly stored: readonly Stored[],
    private readonly factors: readonly ({ a: Stored; b: Stored } | undefined)[],
  ) {
    const { rows, parts, k, form } = one;
    this.n = sum(parts);
    const shares = factors.flatMap((factor, p) => {
      if (!factor) return [];
      const [first, count] = [sum(parts.slice(0, p)), parts[p]];
      const { a, b } = factor;
      return { a: a.values, b: b.values, scale: one.lora!.scale, first, count };
    });
    this.#gated = isGated(form);
    this.#inputs = {
      x: withOutlier(normals(seed, rows * k), k),
      norm: one.norm ? { weight: normals(seed + 1, k), eps: EPS } : undefined,
      join: one.join && joined(one.join, one, seed + 5),
      bias: one.bias ? normals(seed + 2, this.n) : undefined,
      shares,
      before: normals(seed + 3, rows * this.n),
      w: Float32Array.from(stored.flatMap(({ values }) => [...values])),
    };
  }

  /** @param seed the first of some ten */
  static async create(gpu: Gpu, one: StackedCase, seed: number): Promise<StackedProduct> {
    const { parts, k, dtype, lora } = one;
    const stored: Stored[] = [];
    const factors: ({ a: Stored; b: Stored } | undefined)[] = [];
    const make = (seed: number, shape: [number, number], dtype: StoredDtype) =>
      testMatrix(gpu, normals(seed, shape[0] * shape[1]), shape, dtype);
    for (const [p, part] of parts.entries()) {
      stored.push(await make(seed + 4 + p, [part, k], dtype));
      const rank = lora?.ranks[p];
      factors.push(
        rank
          ? {
            a: await make(seed + 1004 + p, [rank, k], lora.dtype),
            b: await make(seed + 2004 + p, [part, rank], lora.dtype),
          }
          : undefined,
      );
    }
    return new StackedProduct(gpu, one, seed, stored, factors);
  }

  get matrices() {
    return this.stored.map(({ matrix }) => matrix);
  }

  /** The adapter's factors of each matrix. */
  get lora() {
    return this.factors.map((factor) => factor && { a: factor.a.matrix, b: factor.b.matrix });
  }

  /** Brings the inputs to the device. */
  place(): Placed {
    const { x, join, norm, bias } = this.#inputs;
    const bring = (values: Float32Array) => place(this.gpu, values).buffer;
    const added = (): Addend | undefined => {
      if (!join) return undefined;
      if (join.kind === "normed") {
        return { kind: "normed", y: bring(join.y), weight: bring(join.weight) };
      }
      const entries = bring(editEntries(join.coefficients));
      return { kind: "vector", vector: bring(join.vector), entries };
    };
    return {
      x: bring(x),
      join: added(),
      norm: norm && { weight: bring(norm.weight), eps: norm.eps },
      bias: bias && bring(bias),
    };
  }

  /** Where a result goes; what it is added to, if it is. */
  out(): DeviceTensor {
    const { rows, form } = this.one;
    if (form === "add") return place(this.gpu, this.#inputs.before!, [rows, this.n]);
    return output(this.gpu, [rows, this.#gated ? this.n / 2 : this.n]);
  }

  /** Records it step by step: the input with what is joined to it, the same after its norm, and the result. */
  steps(
    recorder: Recorder,
    { x, join, norm, bias }: Placed,
  ): { joined: DeviceTensor; h: GPUBuffer; out: DeviceTensor } {
    const { one: { rows, parts, k, form }, n, gpu, matrices } = this;
    const joined = join
      ? place(gpu, this.#inputs.x, [rows, k])
      : new DeviceTensor(gpu, x, [rows, k]);
    if (join?.kind === "normed") {
      const { y, weight } = join;
      const shape = { rows, width: k, eps: norm!.eps };
      rmsnorm(recorder, { x: y, weight, out: joined.buffer, ...shape, add: true });
    } else if (join) {
      const { vector: vectors, entries } = join;
      editRows(recorder, "add", { x: joined.buffer, vectors, entries, count: rows, width: k });
    }
    let h = joined.buffer;
    if (norm) {
      h = output(gpu, [rows, k]).buffer;
      const { weight, eps } = norm;
      rmsnorm(recorder, { x: joined.buffer, weight, out: h, rows, width: k, eps });
    }
    if (isGated(form)) {
      const [gate, up] = parts.map((part) => output(gpu, [rows, part]));
      [gate, up].forEach(({ buffer: y }, p) => {
        matmul(recorder, { x: h, weight: matrices[p], y, rows });
        this.#share(recorder, h, p, y);
      });
      glu(recorder, gate.buffer, up.buffer, rows * n / 2, form);
      return { joined, h, out: gate };
    }
    const y = output(gpu, [rows, n]);
    const columns = parts.map((_, p) => ({ stride: n, first: sum(parts.slice(0, p)) }));
    matrices.forEach((weight, p) =>
      matmul(recorder, { x: h, weight, y: y.buffer, rows, columns: columns[p] })
    );
    if (bias) addBias(recorder, { x: y.buffer, bias, rows, width: n });
    matrices.forEach((_, p) => this.#share(recorder, h, p, y.buffer, columns[p]));
    if (form === "store") return { joined, h, out: y };
    const out = this.out();
    addInPlace(recorder, out.buffer, y.buffer, rows * n);
    return { joined, h, out };
  }

  /** Adds what the adapter has for a matrix to its product. */
  #share(recorder: Recorder, x: GPUBuffer, p: number, y: GPUBuffer, columns?: Columns): void {
    const factor = this.lora[p];
    if (!factor) return;
    const { rows, lora } = this.one;
    const low = output(this.gpu, [rows, factor.a.rows]).buffer;
    matmul(recorder, { x, weight: factor.a, y: low, rows });
    const addScaled = lora!.scale;
    matmul(recorder, { x: low, weight: factor.b, y, rows, addScaled, columns });
  }

  /** The result in float64. */
  reference(): Reference {
    const { rows, k, form } = this.one;
    return fewRowsReference(this.#inputs, [rows, this.n, k], form);
  }

  /** The input with what is joined to it, in float64. */
  joinedReference(): Reference {
    const { rows, k } = this.one;
    return joinedReference(this.#inputs, [rows, k]);
  }

  /** Frees the matrices. */
  destroy(): void {
    const factors = this.lora.flatMap((factor) => factor ? [factor.a, factor.b] : []);
    for (const { windows } of [...this.matrices, ...factors]) {
      for (const { buffer } of windows) this.gpu.buffers.destroy(buffer);
    }
  }
}

/** Numbers for what is joined, from a seed and the next. */
function joined(
  kind: Join["kind"],
  { rows, k }: StackedCase,
  seed: number,
): FewRowsInputs["join"] {
  return kind === "normed"
    ? { kind, y: withOutlier(normals(seed, rows * k), k), weight: normals(seed + 1, k) }
    : { kind, vector: withOutlier(normals(seed, k), k), coefficients: normals(seed + 1, rows) };
}

function place(gpu: Gpu, values: Float32Array, shape?: number[]): DeviceTensor {
  return input(gpu, values as Float32Array<ArrayBuffer>, shape);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
