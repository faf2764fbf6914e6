/** Results on their way back to the host: copies that are submitted with the work that makes them, and one wait for all. */

import type { Gpu } from "./gpu.ts";
import type { Recorder } from "./recorder.ts";
import type { DeviceTensor } from "./tensor.ts";

/** The contents of some tensors, as they are when {@link record} is called. */
export class Readback {
  readonly #staged: { bytes: number; staging: GPUBuffer }[] = [];

  constructor(private readonly gpu: Gpu) {}

  /**
   * Records the copies. They belong in the recorder of what makes the tensors: a submission of their own would keep the host waiting
   * on some software adapters, where one is taken only once those before it have ended.
   */
  record(recorder: Pick<Recorder, "copy">, tensors: readonly DeviceTensor[]): void {
    for (const { buffer, length } of tensors) {
      const bytes = length * 4;
      const size = Math.max(4, bytes);
      const usage = 0x1 | 0x8; // MAP_READ | COPY_DST
      const staging = this.gpu.device.createBuffer({ label: "readback", size, usage });
      this.#staged.push({ bytes, staging });
      if (bytes > 0) recorder.copy(buffer, 0, staging, 0, bytes);
    }
  }

  /**
   * Waits for what was submitted until now, and gives the contents. To be called once; whoever does not want them any more calls
   * {@link destroy}.
   *
   * @param signal ends the waiting, not the work
   */
  async arrive(signal?: AbortSignal): Promise<ArrayBuffer[]> {
    const { gpu } = this;
    try {
      if (gpu.timings.detailed) await gpu.finish(); // or the wait would count as reading
      return await gpu.timings.during("readback", this.#contents(signal));
    } finally {
      this.destroy();
    }
  }

  /** Gives the copies up. */
  destroy(): void {
    for (const { staging } of this.#staged.splice(0)) staging.destroy();
  }

  async #contents(signal?: AbortSignal): Promise<ArrayBuffer[]> {
    const map = () => Promise.all(this.#staged.map(({ staging }) => staging.mapAsync(1)));
    await this.gpu.orLost(this.gpu.waits.ask(map), signal);
    this.gpu.check();
    return this.#staged.map(({ bytes, staging }) => staging.getMappedRange().slice(0, bytes));
  }
}
