/**
 * Means of activations over documents, kept on the device.
 *
 * The sums are compensated and go document after document, so the size of the batches does not change a bit, ten
 * thousand documents do not come back to the host, and an interrupted run goes on from a {@link MeansState}.
 */

import { ModelError } from "./errors.ts";
import type { Gpu } from "./gpu/gpu.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import { accumulate } from "./ops/accumulate.ts";
import { rowNorm } from "./ops/rows.ts";

const STREAMS = ["delta", "base", "finetuned", "baseNorm", "finetunedNorm"] as const;
type Stream = typeof STREAMS[number];

/** Raw sums, exactly as on the device: enough to go on later. Each `[positions, width, 2]` (sum, compensation). */
export interface MeansState {
  documents: number;
  sums: Record<Stream, Float32Array<ArrayBuffer>>;
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

/** Accumulates the activations of two models on the same documents. */
export class ActivationMeans {
  #documents: number;
  #sums: Record<Stream, DeviceTensor>;

  /** @param resume sums of an earlier, interrupted run over the documents before */
  constructor(
    private readonly gpu: Gpu,
    readonly positions: number,
    readonly hidden: number,
    resume?: MeansState,
  ) {
    this.#documents = resume?.documents ?? 0;
    this.#sums = {} as Record<Stream, DeviceTensor>;
    for (const stream of STREAMS) {
      const shape = [positions, stream.endsWith("Norm") ? 1 : hidden, 2];
      const size = shape.reduce((a, b) => a * b);
      const sums = resume?.sums[stream] ?? new Float32Array(size);
      if (sums.length !== size) {
        throw new ModelError(
          `Cannot resume: the sums of ${stream} have ${sums.length} values, expected ${size}`,
        );
      }
      this.#sums[stream] = gpu.tensorFrom(sums, shape);
    }
  }

  /** Records the addition of `documents` documents: `base`, `finetuned` `[documents · positions, hidden]`. */
  add(recorder: Recorder, base: DeviceTensor, finetuned: DeviceTensor, documents: number): void {
    const rows = documents * this.positions;
    const shape = { documents, positions: this.positions };
    const whole = { ...shape, width: this.hidden };
    accumulate(recorder, { ...whole, x: finetuned, minus: base, state: this.#sums.delta });
    for (const [stream, x] of [["base", base], ["finetuned", finetuned]] as const) {
      accumulate(recorder, { ...whole, x, state: this.#sums[stream] });
      const norms = this.gpu.tensor([rows]);
      rowNorm(recorder, { x: x.buffer, out: norms.buffer, rows, width: this.hidden });
      accumulate(recorder, { ...shape, width: 1, x: norms, state: this.#sums[`${stream}Norm`] });
      norms.release();
    }
    this.#documents += documents;
  }

  /** Brings the raw sums back. */
  async state(): Promise<MeansState> {
    const documents = this.#documents;
    const data = await this.gpu.read(STREAMS.map((stream) => this.#sums[stream]));
    const sums = Object.fromEntries(STREAMS.map((s, i) => [s, new Float32Array(data[i])]));
    return { documents, sums: sums as MeansState["sums"] };
  }

  /** Gives the buffers back. */
  release(): void {
    for (const stream of STREAMS) this.#sums[stream].release();
  }
}

/** The means of raw sums: sum and compensation are added and divided in double, then rounded once. */
export function meansOf({ documents, sums }: MeansState): Means {
  const mean = (state: Float32Array) =>
    Float32Array.from(
      { length: state.length / 2 },
      (_, i) => (state[2 * i] + state[2 * i + 1]) / documents,
    );
  return {
    documents,
    delta: mean(sums.delta),
    base: mean(sums.base),
    finetuned: mean(sums.finetuned),
    baseNorm: mean(sums.baseNorm),
    finetunedNorm: mean(sums.finetunedNorm),
  };
}
