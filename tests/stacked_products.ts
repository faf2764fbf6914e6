/** Products of stacked matrices with one input, and what stands around them in a block: for the tests of kernels that do it at once. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Recorder } from "../engine/gpu/recorder.ts";
import type { DeviceTensor } from "../engine/gpu/tensor.ts";
import { type FewRowsArgs, type Form, FORMS } from "../engine/ops/few_rows.ts";
import { type FewRowsInputs, fewRowsReference } from "../engine/ops/few_rows_reference.ts";
import { matmul } from "../engine/ops/matmul.ts";
import { type StoredDtype, testMatrix } from "../engine/ops/matrix_reference.ts";
import { addBias, glu, rmsnorm } from "../engine/ops/rows.ts";
import { input, normals, output, type Reference, withOutlier } from "./test_gpu.ts";

const EPS = 1e-5;

/** Sizes and choices. */
export interface StackedCase {
  rows: number;
  /** Rows of each matrix. */
  parts: number[];
  k: number;
  dtype: StoredDtype;
  form: Form;
  norm?: boolean;
  bias?: boolean;
}

/** What a kernel reads besides the matrices. */
type Placed = Pick<FewRowsArgs, "x" | "norm"> & { bias?: GPUBuffer };

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
    private readonly stored: readonly Awaited<ReturnType<typeof testMatrix>>[],
  ) {
    const { rows, parts, k, form } = one;
    this.n = sum(parts);
    this.#gated = FORMS[form] >= 2;
    this.#inputs = {
      x: withOutlier(normals(seed, rows * k), k),
      norm: one.norm ? { weight: normals(seed + 1, k), eps: EPS } : undefined,
      bias: one.bias ? normals(seed + 2, this.n) : undefined,
      before: normals(seed + 3, rows * this.n),
      w: Float32Array.from(stored.flatMap(({ values }) => [...values])),
    };
  }

  /** @param seed the first of some ten */
  static async create(gpu: Gpu, one: StackedCase, seed: number): Promise<StackedProduct> {
    const { parts, k, dtype } = one;
    const stored: Awaited<ReturnType<typeof testMatrix>>[] = [];
    for (const [p, part] of parts.entries()) {
      stored.push(await testMatrix(gpu, normals(seed + 4 + p, part * k), [part, k], dtype));
    }
    return new StackedProduct(gpu, one, seed, stored);
  }

  get matrices() {
    return this.stored.map(({ matrix }) => matrix);
  }

  /** Brings the inputs to the device. */
  place(): Placed {
    const { x, norm, bias } = this.#inputs;
    const bring = (values: Float32Array) => place(this.gpu, values).buffer;
    return {
      x: bring(x),
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

  /** Records it step by step: the input after its norm, and the result. */
  steps(recorder: Recorder, { x, norm, bias }: Placed): { h: GPUBuffer; out: DeviceTensor } {
    const { one: { rows, parts, k, form }, n, gpu, matrices } = this;
    let h = x;
    if (norm) {
      h = output(gpu, [rows, k]).buffer;
      rmsnorm(recorder, { x, weight: norm.weight, out: h, rows, width: k, eps: norm.eps });
    }
    if (form !== "store" && form !== "add") {
      const [gate, up] = parts.map((part) => output(gpu, [rows, part]));
      [gate, up].forEach(({ buffer: y }, p) =>
        matmul(recorder, { x: h, weight: matrices[p], y, rows })
      );
      glu(recorder, gate.buffer, up.buffer, rows * n / 2, form);
      return { h, out: gate };
    }
    const out = this.out();
    const addScaled = form === "add" ? 1 : undefined;
    let first = 0;
    for (const weight of matrices) {
      const columns = { stride: n, first };
      matmul(recorder, { x: h, weight, y: out.buffer, rows, addScaled, columns });
      first += weight.rows;
    }
    if (bias) addBias(recorder, { x: out.buffer, bias, rows, width: n });
    return { h, out };
  }

  /** The result in float64. */
  reference(): Reference {
    const { rows, k, form } = this.one;
    return fewRowsReference(this.#inputs, [rows, this.n, k], form);
  }

  /** Frees the matrices. */
  destroy(): void {
    for (const { windows } of this.matrices) {
      for (const { buffer } of windows) this.gpu.buffers.destroy(buffer);
    }
  }
}

function place(gpu: Gpu, values: Float32Array, shape?: number[]): DeviceTensor {
  return input(gpu, values as Float32Array<ArrayBuffer>, shape);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
