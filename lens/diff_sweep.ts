/**
 * The comparison of models whose weights do not fit on the device: many batches go through the layers side by side, so that
 * each layer's weights are brought once for all of them. The sums are those of batch after batch, to the last bit.
 */

import { packBatch, rowsAt } from "../engine/batch.ts";
import { batchSize } from "../engine/batch_room.ts";
import type { DeviceTensor } from "../engine/gpu/tensor.ts";
import type { Recorder } from "../engine/gpu/recorder.ts";
import { InFlight } from "../engine/in_flight.ts";
import { Lane, spillOver } from "../engine/lane.ts";
import { sharedLayers } from "../engine/shared_layers.ts";
import { gatherRows } from "../engine/token_loss.ts";
import { lastPositions, type Run } from "./diff_batch.ts";

/** Residuals that may wait on the host, in bytes. */
const HOST_BYTES = 2 ** 30;

/** The share of the memory left on the device that residuals may take; the rest is for the passes. */
const DEVICE_SHARE = 0.25;

/** A sweep grows until it takes so long, in milliseconds … */
const LONG_ENOUGH = 30_000;
/** … and the reading of weights is no more than this share of it. */
const READING_SHARE = 0.1;

/** What {@link sweep} needs besides documents. */
export interface SweepOptions {
  layers: readonly number[];
  runs: readonly Run[];
  /** Tokens of a batch, at the most. */
  batchTokens: number;
  /** Takes the share of the sweep that is done. */
  progress?: (share: number) => void | Promise<void>;
  /** Ends the sweep between two passes; the sums are then of no use. */
  signal?: AbortSignal;
}

/** How many tokens a sweep has: it grows with what is learnt of the models' pace. */
export class SweepSize {
  #tokens: number;
  readonly #most: number;

  constructor({ runs }: Pick<SweepOptions, "runs">, batchTokens: number) {
    const { gpu, spec } = runs[0].model;
    const device = Math.min(HOST_BYTES, DEVICE_SHARE * gpu.buffers.unusedBytes);
    this.#most = Math.floor((device + HOST_BYTES) / (4 * spec.hiddenSize * runs.length));
    this.#tokens = batchTokens;
  }

  /** How many documents from `first` on the next sweep has. */
  documents(documents: readonly ArrayLike<number>[], first: number): number {
    return batchSize(documents, first, this.#tokens);
  }

  /** Learns from a sweep: its time, and that of reading weights, in milliseconds. */
  learn(elapsed: number, reading: number): void {
    if (elapsed > LONG_ENOUGH && reading < READING_SHARE * elapsed) return;
    this.#tokens = Math.min(4 * this.#tokens, Math.max(this.#most, this.#tokens));
  }
}

/** Runs documents through the layers as far as the deepest that is wanted, and adds their activations to the sums. */
export async function sweep(
  documents: readonly ArrayLike<number>[],
  { layers, runs, batchTokens, progress, signal }: SweepOptions,
): Promise<void> {
  const [{ model: base }, tuned] = runs;
  const { gpu } = base;
  const fork = tuned && sharedLayers(base, tuned.model);
  const deepest = Math.max(...layers);
  const flight = new InFlight(gpu);
  const groups: Group[] = [];
  try {
    const device = DEVICE_SHARE * gpu.buffers.unusedBytes;
    for (let done = 0; done < documents.length;) {
      signal?.throwIfAborted();
      const some = documents.slice(done, done + batchSize(documents, done, batchTokens));
      const group = await Group.begin(some, runs, fork === undefined);
      groups.push(group);
      spillOver(groups, device);
      await flight.add();
      done += some.length;
    }
    const steps = (deepest + 1) * groups.length;
    for (let layer = 0; layer <= deepest; layer++) {
      for (const [b, group] of groups.entries()) {
        signal?.throwIfAborted();
        if (layer === fork) await group.fork(tuned.model);
        await group.step(layers.indexOf(layer));
        spillOver(groups, device);
        // Behind the first batch of a layer, the next layer's weights are on their way.
        if (b === 0 && layer < deepest) { for (const { model } of runs) model.prefetch(layer + 1); }
        const share = (layer * groups.length + b + 1) / steps;
        await flight.add(() => progress?.(share));
      }
    }
    await flight.drain();
  } finally {
    for (const group of groups) group.release();
  }
}

/** Some documents on their way, through one model or both. */
class Group {
  private constructor(
    private readonly documents: readonly ArrayLike<number>[],
    private readonly runs: readonly Run[],
    private readonly lanes: Lane[],
  ) {}

  /** @param apart whether the models differ from the embedding on; if not, one lane stands for both until they do */
  static async begin(
    documents: readonly ArrayLike<number>[],
    runs: readonly Run[],
    apart: boolean,
  ): Promise<Group> {
    const lanes: Lane[] = [];
    for (const { model } of apart ? runs : runs.slice(0, 1)) {
      lanes.push(await Lane.embed(model, packBatch(documents, model.spec)));
    }
    return new Group(documents, runs, lanes);
  }

  get bytes(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.bytes, 0);
  }

  async fork(model: Run["model"]): Promise<void> {
    this.lanes.push(await this.lanes[0].fork(model));
  }

  /** @param place of the layer among those that are wanted; −1 for none of them */
  async step(place: number): Promise<void> {
    for (const [i, lane] of this.lanes.entries()) {
      // A lane that stands for both is added to both.
      const sums = this.runs.filter((_, side) => side === i || side >= this.lanes.length)
        .map(({ sums }) => sums[place]);
      await lane.step(
        place < 0 ? undefined : (recorder, resid) => {
          const x = this.#wanted(lane, recorder, resid, sums[0].positions);
          for (const sum of sums) sum.add(recorder, x, this.documents.length);
          if (x !== resid) x.release();
        },
      );
    }
  }

  spill(): void {
    for (const lane of this.lanes) lane.spill();
  }

  release(): void {
    for (const lane of this.lanes) lane.release();
  }

  #wanted(lane: Lane, recorder: Recorder, resid: DeviceTensor, kept: number): DeviceTensor {
    const positions = lastPositions(this.documents, kept);
    if (positions === "all") return resid;
    return gatherRows(
      recorder,
      resid,
      this.documents.flatMap((_, s) => rowsAt(lane.batch, s, positions)),
    );
  }
}
