/**
 * Weights that are not on the device all at once: stages that fill the same buffers by turns. Copies and passes run in the
 * order in which they are submitted, so a stage may be brought while the pass that uses the buffers' old content still runs.
 */

import { DeviceError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Staging } from "../gpu/staging.ts";
import type { MakeBuffer } from "./matrix.ts";
import { runTransfers, type Transfer, transferBytes } from "./transfer.ts";

/** Makes what a slot consists of. */
export interface SlotMakers {
  buffer: MakeBuffer;
  texture: (label: string, bytes: number) => GPUTexture;
}

/** Bytes of a slot's buffers and textures, in the order in which they are asked for. */
export interface SlotSizes {
  buffers: number[];
  textures: number[];
}

/** Buffers and textures that one stage at a time has to itself. */
export class Slot {
  readonly #buffers: readonly GPUBuffer[];
  readonly #textures: readonly GPUTexture[];
  /** The stage that was brought last. */
  holds?: Stage;

  constructor({ buffers, textures }: SlotSizes, make: SlotMakers) {
    const label = "streamed weights";
    this.#buffers = buffers.map((bytes) => make.buffer(label, bytes));
    this.#textures = textures.map((bytes) => make.texture(label, bytes));
  }

  /** Hands them out in their order; every stage asks for its own in the same one. */
  makers(): { buffer: MakeBuffer; texture: () => GPUTexture } {
    let [buffer, texture] = [0, 0];
    return {
      buffer: () => this.#buffers[buffer++],
      texture: () => this.#textures[texture++],
    };
  }
}

/** The weights of a layer, or some rows of a table. */
export class Stage {
  /** @internal Made by {@link WeightStream.stage}. */
  constructor(
    private readonly stream: WeightStream,
    private readonly slot: Slot,
    private readonly transfers: readonly Transfer[],
  ) {}

  /** Whether one of the two takes the other's place. */
  sharesSlotWith(other: Stage): boolean {
    return this.slot === other.slot;
  }

  /**
   * Brings the weights, unless the slot holds them. Passes that use what it held must be submitted; those that are submitted
   * afterwards find these.
   */
  bring(): Promise<void> {
    return this.stream.inTurn(async () => {
      if (this.slot.holds === this) return;
      this.slot.holds = undefined;
      await this.stream.run(this.transfers);
      this.slot.holds = this;
    });
  }
}

/** What brings the stages of one model or adapter, one at a time. */
export class WeightStream {
  #last: Promise<unknown> = Promise.resolve();
  #staging: Staging | undefined;
  /** What was spent on reading, in milliseconds. */
  readMs = 0;
  /** Of the largest stage, and of the widest row of any. */
  #bytes = 0;
  #unit = 0;

  /** Textures that products of packed weights cannot do without. */
  readonly #standing: GPUTexture[] = [];
  #running = 0;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;

  constructor(private readonly gpu: Gpu, signal?: AbortSignal) {
    const own = this.#ended.signal;
    this.#signal = signal ? AbortSignal.any([signal, own]) : own;
  }

  /** A stage that fills a slot. */
  stage(slot: Slot, transfers: readonly Transfer[]): Stage {
    this.#bytes = Math.max(this.#bytes, transferBytes(transfers));
    for (const { unit } of transfers) this.#unit = Math.max(this.#unit, unit);
    return new Stage(this, slot, transfers);
  }

  /** Does some work when all before it is done. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Sees to it that products of what is brought find a texture of so many bytes. */
  stand(bytes: number): void {
    this.#standing.push(this.gpu.texels.stand(bytes));
  }

  /** Takes the memory for the bringing, once all stages are known: during a pass there may be none left. */
  open(): void {
    if (this.#bytes > 0) this.#staging = new Staging(this.gpu, this.#bytes, this.#unit);
  }

  /** Brings what is listed; to be called in turn. */
  async run(transfers: readonly Transfer[]): Promise<void> {
    const reading = (ms: number) => this.readMs += ms;
    this.#running++;
    try {
      const run = runTransfers(this.#staging!, transfers, { signal: this.#signal, reading });
      await this.gpu.timings.during("load", run);
    } finally {
      this.#running--;
      if (this.#ended.signal.aborted) this.#free();
    }
  }

  /** Ends the bringing, and frees what it takes: memory that a file is being read into once that is done. */
  destroy(): void {
    this.#ended.abort(new DeviceError("The model is off the device"));
    for (const texture of this.#standing.splice(0)) this.gpu.texels.unstand(texture);
    if (this.#running === 0) this.#free();
  }

  #free(): void {
    this.#staging?.destroy();
    this.#staging = undefined;
  }
}
