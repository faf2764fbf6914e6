/** What is to be brought from a checkpoint to the device, and the bringing of it. */

import type { Gpu } from "../gpu/gpu.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { Staging } from "../gpu/staging.ts";

/** Content of a buffer or a texture: `units` pieces of `unit` bytes that are not cut. */
export interface Transfer {
  readonly to: GPUBuffer | GPUTexture;
  /** Bytes before the first of them (default: 0). */
  readonly offset?: number;
  readonly unit: number;
  readonly units: number;
  /** Its place in the order in which the files are read fastest. */
  readonly position: number;
  /** Writes units `first` to `first + count − 1` into `target`. */
  fill(target: Uint8Array<ArrayBuffer>, first: number, count: number): Promise<void> | void;
  /** What the device is to do with the content once it is there. */
  after?(recorder: Recorder): void;
}

/** Called as bytes come to the device. */
export type LoadProgress = (done: number, total: number) => void;

/** Options of {@link runTransfers}. */
export interface TransferOptions {
  progress?: LoadProgress;
  /** Takes the time that the reading of a piece took, in milliseconds. */
  reading?: (ms: number) => void;
  /** Ends the work between two pieces. */
  signal?: AbortSignal;
}

/** Bytes of all of them. */
export function transferBytes(transfers: readonly Transfer[]): number {
  return transfers.reduce((sum, { unit, units }) => sum + unit * units, 0);
}

/** A staging area for transfers such as these. */
export function stagingFor(gpu: Gpu, transfers: readonly Transfer[]): Staging {
  const least = transfers.reduce((most, { unit }) => Math.max(most, unit), 0);
  return new Staging(gpu, transferBytes(transfers), least);
}

/** Does all of them, in the files' order; what is submitted afterwards finds the buffers filled. */
export async function runTransfers(
  staging: Staging,
  transfers: readonly Transfer[],
  { progress, reading, signal }: TransferOptions = {},
): Promise<void> {
  const total = transferBytes(transfers);
  let done = 0;
  for (const one of [...transfers].sort((a, b) => a.position - b.position)) {
    const { to, offset = 0, unit, units } = one;
    for (let first = 0; first < units;) {
      signal?.throwIfAborted();
      const start = first;
      const count = Math.min(units - start, Math.floor(staging.room(unit) / unit));
      await staging.put(
        to,
        offset + start * unit,
        count * unit,
        async (target) => {
          const before = performance.now();
          await one.fill(target, start, count);
          reading?.(performance.now() - before);
        },
      );
      first += count;
      progress?.(done += count * unit, total);
    }
  }
  signal?.throwIfAborted(); // what the bytes are for may be gone
  staging.flush();
  const last = transfers.filter(({ after }) => after);
  if (last.length === 0) return;
  const recorder = staging.gpu.record();
  try {
    for (const { after } of last) after!(recorder);
    await recorder.submit();
  } finally {
    recorder.close();
  }
}
