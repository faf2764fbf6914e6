/** Which tokens sequences have, for the repetition penalty: a bitmap each, on the device. */

import type { Gpu } from "../gpu/gpu.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { DeviceTensor } from "../gpu/tensor.ts";
import { seenWords } from "../ops/sampling.ts";
import type { Member } from "./job.ts";

/** Bitmaps of a fixed number of slots; they are made once a sequence has a penalty. */
export class SeenTokens {
  /** `[slots, words]`. */
  #bitmaps: DeviceTensor | undefined;
  /** Is bound where no bitmap is read. */
  #nothing: DeviceTensor | undefined;

  constructor(
    private readonly gpu: Gpu,
    private readonly slots: number,
    private readonly vocab: number,
  ) {}

  /** Gives the buffers back. */
  release(): void {
    this.#bitmaps?.release();
    this.#nothing?.release();
  }

  /** What the sampling of these sequences reads and writes. */
  of(members: readonly Member[]): { seen: GPUBuffer; words: number } {
    const words = Math.max(0, ...members.map(({ job }) => seenWords(job.sampling, this.vocab)));
    if (words === 0) return { seen: (this.#nothing ??= this.gpu.tensor([1])).buffer, words };
    this.#bitmaps ??= this.gpu.tensor([this.slots, words]);
    return { seen: this.#bitmaps.buffer, words };
  }

  /** Records that the slots of those sequences that have a penalty hold their prompts' tokens. */
  begin(recorder: Recorder, members: readonly Member[]): void {
    for (const member of members) {
      const { seen, words } = this.of([member]);
      if (words === 0) continue;
      const { prompt } = member.run;
      const bitmap = new Uint32Array(words);
      for (let i = 0; i < prompt.length; i++) bitmap[prompt[i] >> 5] |= 1 << (prompt[i] & 31);
      const { byteLength } = bitmap;
      recorder.copy(recorder.upload(bitmap), 0, seen, member.slot * byteLength, byteLength);
    }
  }
}
