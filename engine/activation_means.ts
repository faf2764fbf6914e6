/**
 * Means of activations over documents, kept on the device.
 *
 * The sums are compensated and go document after document, so the size of the batches does not change a bit, ten
 * thousand documents do not come back to the host, and an interrupted run goes on from a {@link MeansState}. Each model
 * has sums of its own: it makes no difference whether the two run side by side or one after the other.
 */

import { ModelError } from "./errors.ts";
import type { Gpu } from "./gpu/gpu.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { accumulate } from "./ops/accumulate.ts";
import { rowNorm } from "./ops/rows.ts";

/** Raw sums of one model, exactly as on the device: enough to go on later. */
export interface MeansState {
  documents: number;
  /** `[positions, hidden, 2]` of (sum, compensation). */
  sum: Float32Array<ArrayBuffer>;
  /** Of the activations' L2 norms: `[positions, 2]`. */
  norm: Float32Array<ArrayBuffer>;
}

/** Means over documents at each position. Vectors are `[positions, hidden]`, norms `[positions]`, all f32. */
export interface Means {
  documents: number;
  /** Mean of (finetuned − base). */
  delta: Float32Array<ArrayBuffer>;
  base: Float32Array<ArrayBuffer>;
  finetuned: Float32Array<ArrayBuffer>;
  /** Mean of the L2 norm of the base model's activations. */
  baseNorm: Float32Array<ArrayBuffer>;
  finetunedNorm: Float32Array<ArrayBuffer>;
}

/** Accumulates the activations of one model. */
export class ActivationSums {
  #documents: number;
  readonly #sum: DeviceTensor;
  readonly #norm: DeviceTensor;

  /** @param resume sums of an earlier, interrupted run over the documents before */
  constructor(
    private readonly gpu: Gpu,
    readonly positions: number,
    readonly hidden: number,
    resume?: MeansState,
  ) {
    this.#documents = resume?.documents ?? 0;
    const begin = (shape: number[], name: "sum" | "norm") => {
      const size = shape.reduce((a, b) => a * b);
      const sums = resume?.[name] ?? new Float32Array(size);
      if (sums.length === size) return gpu.tensorFrom(sums, shape);
      throw new ModelError(
        `Cannot resume: the ${name}s have ${sums.length} values, expected ${size}`,
      );
    };
    this.#sum = begin([positions, hidden, 2], "sum");
    this.#norm = begin([positions, 2], "norm");
  }

  /** Documents so far. */
  get documents(): number {
    return this.#documents;
  }

  /** Records the addition of `documents` documents: `x` `[documents · positions, hidden]`. */
  add(recorder: Recorder, x: DeviceTensor, documents: number): void {
    const { positions, hidden } = this;
    const rows = documents * positions;
    accumulate(recorder, { x, state: this.#sum, documents, positions, width: hidden });
    const norms = this.gpu.tensor([rows]);
    rowNorm(recorder, { x: x.buffer, out: norms.buffer, rows, width: hidden });
    accumulate(recorder, { x: norms, state: this.#norm, documents, positions, width: 1 });
    norms.release();
    this.#documents += documents;
  }

  /** Brings the raw sums of several back at once: a wait for the device is 10 ms on some backends, however much it brings. */
  static async states(gpu: Gpu, all: readonly ActivationSums[]): Promise<MeansState[]> {
    const documents = all.map((sums) => sums.documents);
    const parts = (await gpu.read(all.flatMap((sums) => [sums.#sum, sums.#norm])))
      .map((data) => new Float32Array(data));
    return documents.map((count, i) => ({
      documents: count,
      sum: parts[2 * i],
      norm: parts[2 * i + 1],
    }));
  }

  /** Gives the buffers back. */
  release(): void {
    this.#sum.release();
    this.#norm.release();
  }
}

/**
 * The means of two models' raw sums. Sum and compensation are added, subtracted and divided in double and rounded once:
 * δ loses nothing by being a difference of means, as the compensated sums are good to about twice f32's digits.
 */
export function meansOf(base: MeansState, finetuned: MeansState): Means {
  const { documents } = base;
  const total = (state: Float32Array) =>
    Float64Array.from({ length: state.length / 2 }, (_, i) => state[2 * i] + state[2 * i + 1]);
  const mean = (sums: Float64Array) => Float32Array.from(sums, (sum) => sum / documents);
  const [ours, theirs] = [base.sum, finetuned.sum].map(total);
  return {
    documents,
    delta: mean(theirs.map((sum, i) => sum - ours[i])),
    base: mean(ours),
    finetuned: mean(theirs),
    baseNorm: mean(total(base.norm)),
    finetunedNorm: mean(total(finetuned.norm)),
  };
}
