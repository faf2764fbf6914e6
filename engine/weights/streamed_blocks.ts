/**
 * Blocks that share a slot or two: laid out as they are stored, or packed where products are made from textures. Packed once when
 * they are brought, they serve as many passes as come before the next ones are.
 */

import type { Gpu } from "../gpu/gpu.ts";
import { BLOCK_LINEARS } from "../model_spec.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { makeOwned, WeightLayout } from "./matrix.ts";
import type { BlockWeights } from "./model_weights.ts";
import { packBlock, packShares, unpacked } from "./packed.ts";
import { PackedLayout, type PackedPlaces } from "./packed_layout.ts";
import { Slot, type SlotMakers, type SlotSizes, type Stage, type WeightStream } from "./stage.ts";

/** The share of the memory that is left which two slots may take; with less there is one. */
const SLOT_SHARE = 0.5;

/** The share that slots may take with what packing needs beside them; with less nothing is packed. */
const PACKED_SHARE = 0.75;

/** What streamed weights are made with. */
export interface StreamParts {
  gpu: Gpu;
  checkpoint: Checkpoint;
  stream: WeightStream;
  /** Gets the buffers. */
  owned: GPUBuffer[];
  /** Gets the textures. */
  textures: GPUTexture[];
}

/** Packs what can be packed of a block, and lays the rest out as it is stored. */
export function packOrStore(layout: PackedLayout, block: BlockWeights): void {
  packBlock(block, (matrices) => layout.pack(matrices));
  const { linears } = block;
  for (const name of unpacked(block)) {
    linears[name] = { ...linears[name], weight: layout.store(linears[name].weight) };
  }
}

/** Lays an adapter's factors out as they are stored, for products of few rows, and packs what can be packed beside. */
export function packAndStore(layout: PackedLayout, block: BlockWeights): void {
  const { linears } = block;
  for (const name of BLOCK_LINEARS) {
    const { lora } = linears[name];
    if (!lora) continue;
    const stored = { ...lora, a: layout.store(lora.a), b: layout.store(lora.b) };
    linears[name] = { ...linears[name], lora: stored };
  }
  packShares(block, (matrices, padded) => layout.pack(matrices, padded));
}

/**
 * Lays blocks out over two slots by turns, so that one is filled while the other is used; over one where memory is short.
 *
 * @param place lays one block out: it asks for its buffers in the same order as all others
 * @param pack is given what a block's layout has noted, to pack or to store it; not called where nothing is to be packed
 */
export function streamBlocks<Block>(
  parts: StreamParts,
  layers: number,
  place: (layout: WeightLayout, layer: number) => Block,
  pack?: (layout: PackedLayout, block: Block) => void,
): { block: Block; stages: Stage[] }[] {
  const { gpu, checkpoint, stream } = parts;
  const stored = (layer: number, { buffer }: PackedPlaces) => {
    const layout = new WeightLayout(gpu, checkpoint, buffer);
    return { layout, block: place(layout, layer) };
  };
  const packed = (layer: number, places: PackedPlaces) => {
    const layout = new PackedLayout(gpu, checkpoint, places);
    const block = place(layout, layer);
    pack!(layout, block);
    return { layout, block };
  };
  // Fast mode takes nothing from textures.
  const wanted = pack && gpu.profile === "software" && !gpu.half;
  const packing = wanted ? planSlots(gpu, layers, packed) : undefined;
  const { lay, sizes, count, least } = packing && fits(gpu, packing)
    ? packing
    : planSlots(gpu, layers, stored);
  const makers = ownedMakers(parts);
  const slots = Array.from({ length: count }, () => new Slot(sizes, makers));
  if (least > 0) stream.stand(least);
  return Array.from({ length: layers }, (_, layer) => {
    const slot = slots[layer % count];
    const { layout, block } = lay(layer, slot.makers());
    const stages = layout.transfers.length > 0 ? [stream.stage(slot, layout.transfers)] : [];
    return { block, stages };
  });
}

/** Lays out a layer's block. */
type Lay<Block> = (layer: number, places: PackedPlaces) => { layout: WeightLayout; block: Block };

/** What slots for blocks take. */
interface SlotPlan<Block> {
  lay: Lay<Block>;
  sizes: SlotSizes;
  /** How many slots there are. */
  count: number;
  /** See {@link PackedLayout}; 0 where nothing is packed. */
  least: number;
}

/** Finds the sizes of slots: of each buffer and texture that blocks ask for the most that any block asks. */
function planSlots<Block>(gpu: Gpu, layers: number, lay: Lay<Block>): SlotPlan<Block> {
  const sizes: SlotSizes = { buffers: [], textures: [] };
  let least = 0;
  for (let layer = 0; layer < layers; layer++) {
    const [buffer, texture] = [growing(sizes.buffers), growing(sizes.textures)];
    // Nothing is brought into what is handed out here.
    const { layout } = lay(layer, {
      buffer: (_, bytes) => (buffer(bytes), {} as GPUBuffer),
      texture: (bytes) => (texture(bytes), {} as GPUTexture),
    });
    if (layout instanceof PackedLayout) least = Math.max(least, layout.least);
  }
  const count = 2 * slotBytes(gpu, sizes) <= SLOT_SHARE * gpu.buffers.remainingBytes ? 2 : 1;
  return { lay, sizes, count, least };
}

/** Notes the sizes that one block asks for, one after the other. */
function growing(sizes: number[]): (bytes: number) => void {
  let next = 0;
  return (bytes) => {
    sizes[next] = Math.max(sizes[next] ?? 0, bytes);
    next++;
  };
}

/** Whether there is something to pack, and memory for it. */
function fits<Block>(gpu: Gpu, { count, sizes, least }: SlotPlan<Block>): boolean {
  const bytes = count * slotBytes(gpu, sizes) + gpu.texels.bytesFor(least);
  return least > 0 && bytes <= PACKED_SHARE * gpu.buffers.remainingBytes;
}

function slotBytes({ texels }: Gpu, { buffers, textures }: SlotSizes): number {
  const sizes = [...buffers, ...textures.map((bytes) => texels.bytesFor(bytes))];
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/** Makes buffers and textures that are noted as owned. */
export function ownedMakers(
  { gpu, owned, textures }: Pick<StreamParts, "gpu" | "owned" | "textures">,
): SlotMakers {
  return {
    buffer: makeOwned(gpu, owned),
    texture: (label, bytes) => {
      const texture = gpu.texels.claim(label, bytes);
      textures.push(texture);
      return texture;
    },
  };
}
