/**
 * The weights of a model that is larger than its room on the device: blocks and rows of the tables are brought when a pass
 * comes to them, into buffers that they share. What a pass computes is the same to the last bit.
 */

import type { Gpu } from "../gpu/gpu.ts";
import type { ModelSpec } from "../model_spec.ts";
import type { Checkpoint } from "./checkpoint.ts";
import {
  makeOwned,
  type MatrixPart,
  matrixShape,
  rowReader,
  runLayout,
  scaling,
  WeightLayout,
  type WeightMatrix,
  windowRows,
} from "./matrix.ts";
import { type BlockWeights, type ModelWeights, WeightPlan } from "./model_weights.ts";
import { ownedMakers, packOrStore, streamBlocks, type StreamParts } from "./streamed_blocks.ts";
import { Slot, WeightStream } from "./stage.ts";
import type { Transfer } from "./transfer.ts";

/** Bytes of a table that are on the device at a time. */
const TABLE_BYTES = 32 << 20;

/** Rows that are not wanted are read along where that saves a read. */
const GAP_ROWS = 8;

/**
 * Prepares a checkpoint's weights to be brought when they are needed. The checkpoint stays open until the model is destroyed.
 *
 * @param options `signal` ends the bringing, then and later
 * @throws {ModelError} and {@link WeightsError} as `loadWeights`
 * @throws {OutOfMemoryError} when not even one block fits
 */
export async function streamWeights(
  gpu: Gpu,
  spec: ModelSpec,
  checkpoint: Checkpoint,
  { signal }: { signal?: AbortSignal } = {},
): Promise<ModelWeights> {
  const plan = new WeightPlan(spec, checkpoint);
  const owned: GPUBuffer[] = [];
  const textures: GPUTexture[] = [];
  const stream = new WeightStream(gpu, signal);
  const parts = { gpu, checkpoint, stream, owned, textures };
  try {
    const whole = new WeightLayout(gpu, checkpoint, makeOwned(gpu, owned));
    const finalNorm = plan.finalNorm(whole);
    await runLayout(gpu, whole, { signal });
    const layers = spec.attention.length;
    const place = (layout: WeightLayout, layer: number) => plan.block(layout, layer);
    const blocks = streamBlocks(parts, layers, place, packOrStore)
      .map(({ block, stages }): BlockWeights => ({ ...block, stages }));
    const embedding = streamTable(parts, plan.embedding);
    const head = { weight: spec.tiedHead ? embedding : streamTable(parts, plan.head()) };
    stream.open();
    const destroy = () => {
      stream.destroy();
      checkpoint.close();
    };
    const reading = {
      get readMs() {
        return stream.readMs;
      },
      destroy,
    };
    return { embedding, blocks, finalNorm, head, owned, textures, stream: reading };
  } catch (error) {
    for (const texture of textures) gpu.texels.destroy(texture);
    for (const buffer of owned) gpu.buffers.destroy(buffer);
    stream.destroy();
    throw error;
  }
}

/** A table of which some rows at a time are on the device, and single rows are read from the file where they are known. */
export function streamTable(parts: StreamParts, part: MatrixPart): WeightMatrix {
  const { gpu, checkpoint, stream } = parts;
  const { name, rows, columns } = part;
  const shape = matrixShape(checkpoint, part);
  const { rowBytes } = shape;
  const most = Math.max(1, Math.floor(TABLE_BYTES / rowBytes));
  const fitting = Math.max(1, Math.floor(gpu.buffers.remainingBytes / 16 / rowBytes));
  const per = Math.min(windowRows(gpu, name, rowBytes), most, fitting);
  const buffers = gpu.half ? [per * rowBytes, 4 * per] : [per * rowBytes];
  const slots = [0, 1].map(() => new Slot({ buffers, textures: [] }, ownedMakers(parts)));
  const position = checkpoint.position(name);
  const windows = Array.from({ length: Math.ceil(rows / per) }, (_, i) => {
    const firstRow = i * per;
    const count = Math.min(per, rows - firstRow);
    const slot = slots[i % 2];
    const { buffer: make } = slot.makers();
    const buffer = make(name, count * rowBytes);
    const scale = gpu.half ? make(name, 4 * count) : undefined;
    const window = { buffer, scale, firstRow, rows: count };
    const fill = rowReader(checkpoint, part, shape, firstRow);
    const after = scaling(window, shape);
    const transfer = { to: buffer, unit: rowBytes, units: count, position, fill, after };
    return { ...window, stage: stream.stage(slot, [transfer]) };
  });
  const read = rowReader(checkpoint, part, shape, 0);
  const gather = (ids: Uint32Array, buffer: GPUBuffer) => {
    const fill: Transfer["fill"] = (target, first, count) =>
      gatherRows(read, rowBytes, ids.subarray(first, first + count), target);
    const transfer = { to: buffer, unit: rowBytes, units: ids.length, position, fill };
    return stream.inTurn(() => stream.run([transfer]));
  };
  return { name, rows, columns, ...shape, windows, gather };
}

/** Rows of a table one after the other, in as few reads as the gaps between them allow. */
async function gatherRows(
  read: Transfer["fill"],
  rowBytes: number,
  ids: Uint32Array,
  target: Uint8Array<ArrayBuffer>,
): Promise<void> {
  for (let from = 0; from < ids.length;) {
    let to = from + 1;
    while (to < ids.length && ids[to] - ids[to - 1] <= GAP_ROWS) to++;
    const count = ids[to - 1] - ids[from] + 1;
    const into = target.subarray(from * rowBytes, to * rowBytes);
    if (count === to - from) await read(into, ids[from], count);
    else {
      const rows = new Uint8Array(count * rowBytes);
      await read(rows, ids[from], count);
      for (let i = from; i < to; i++) {
        const at = (ids[i] - ids[from]) * rowBytes;
        into.set(rows.subarray(at, at + rowBytes), (i - from) * rowBytes);
      }
    }
    from = to;
  }
}
