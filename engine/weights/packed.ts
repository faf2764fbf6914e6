/**
 * Weights in textures, packed for products on software adapters: there texels cost a third of what a buffer's bytes
 * do. Matrices with the same inputs are stacked, so that one dispatch makes all of their products.
 */

import packCode from "../../shaders/pack_texels.wgsl" with { type: "text" };
import type { Gpu } from "../gpu/gpu.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { TEXEL_BYTES } from "../gpu/texels.ts";
import { u32 } from "../gpu/uniforms.ts";
import { elementGrid } from "../ops/grid.ts";
import { WEIGHT_DTYPES, type WeightMatrix } from "./matrix.ts";
import type { BlockLinear } from "../model_spec.ts";
import type { BlockWeights, Linear, ModelWeights } from "./model_weights.ts";

/** Rows that lie side by side. */
export const BLOCK = 32;

/** Matrices `[·, columns]` one after the other, in one texture; its layout is in pack_texels.wgsl. */
export interface PackedMatrix {
  readonly texture: GPUTexture;
  readonly dtype: number;
  /** Of all parts, with those of zeros between them. */
  readonly rows: number;
  readonly columns: number;
  readonly parts: readonly WeightMatrix[];
  /** `[rows]` f32. */
  readonly bias?: GPUBuffer;
}

/**
 * A texture for matrices, not filled yet; nothing where they do not lie as the kernels need it, or memory is short.
 *
 * @param make a texture of so many bytes at least
 * @param padded whether a matrix may end amid a block, which is then filled up with zeros; see {@link packedRows}
 */
export function planPacked(
  parts: readonly WeightMatrix[],
  make: (bytes: number) => GPUTexture | undefined,
  padded = false,
): PackedMatrix | undefined {
  const [{ dtype, columns }] = parts;
  const alike = parts.every((part) => part.dtype === dtype && part.columns === columns);
  // Only what nothing follows may end amid a block.
  const pieces = parts.map(({ rows, windows }) =>
    windows.length > 0 ? windows.map(({ rows }) => rows) : [rows]
  );
  const whole = (rows: readonly number[]) => rows.slice(0, -1).every((n) => n % BLOCK === 0);
  const lies = padded ? pieces.every(whole) : whole(pieces.flat());
  if (!alike || !lies || columns % 8 !== 0) return undefined;
  const rows = packedRows(parts).at(-1)! + parts.at(-1)!.rows;
  const texels = Math.ceil(rows / BLOCK) * BLOCK * texelsOfRow(dtype, columns);
  const texture = make(texels * TEXEL_BYTES);
  return texture && { texture, dtype, rows, columns, parts };
}

/** The first row of each of these matrices, once they are packed. */
export function packedRows(parts: readonly WeightMatrix[]): number[] {
  let next = 0;
  return parts.map(({ rows }) => {
    const first = next;
    next += Math.ceil(rows / BLOCK) * BLOCK;
    return first;
  });
}

/** Records the filling of a texture with what its parts hold. */
export function recordPacking(recorder: Recorder, { texture, parts }: PackedMatrix): void {
  let first = 0;
  for (const { dtype, columns, windows } of parts) {
    const texels = texelsOfRow(dtype, columns);
    const kernel = recorder.gpu.kernels.get("pack_texels", packCode, { H: 8 * texels / columns });
    for (const { buffer, rows } of windows) {
      const count = Math.ceil(rows / BLOCK) * BLOCK * texels;
      const params = [rows, columns, first, count].map(u32);
      recorder.dispatch(kernel, [buffer, texture], params, elementGrid(count));
      first += count;
    }
  }
}

/** Texels of a row. */
export function texelsOfRow(dtype: number, columns: number): number {
  return columns * (dtype === WEIGHT_DTYPES.F32 ? 4 : 2) / TEXEL_BYTES;
}

/** Which linear layers are stacked, in their order. */
export const STACKS = {
  qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
  gateUp: ["mlp.gate_proj", "mlp.up_proj"],
} as const;

/** Linear layers whose products are made by themselves. */
const SINGLE = ["self_attn.o_proj", "mlp.down_proj"] as const;

/** Whether products are made from textures; those of fast mode are not. */
function takesPacked({ profile, precision }: Gpu): boolean {
  return profile === "software" && precision === "f32";
}

/**
 * Gives a model textures for its weights, as many as there is memory for, where products are made from them.
 *
 * @returns what fills them, once the weights are there
 */
export function packWeights(gpu: Gpu, weights: ModelWeights): () => Promise<void> {
  const { pack, planned } = packer(gpu, weights.textures, true);
  const wanted = takesPacked(gpu);
  for (const block of wanted ? weights.blocks : []) packBlock(block, pack);
  if (wanted) weights.head.packed = pack([weights.head.weight]);
  return () => fill(gpu, planned);
}

/** Makes one of matrices, if they can be packed; see {@link planPacked}. */
export type Pack = (parts: readonly WeightMatrix[], padded?: boolean) => PackedMatrix | undefined;

/** Gives a block what can be packed of it. */
export function packBlock(block: BlockWeights, pack: Pack): void {
  const { linears, qkvBias } = block;
  const stack = (names: readonly BlockLinear[], bias?: GPUBuffer): PackedMatrix | undefined => {
    const parts = names.map((name) => linears[name]);
    if (!bias && parts.some((linear) => linear.bias)) return undefined;
    const packed = pack(parts.map(({ weight }) => weight));
    return packed && bias ? { ...packed, bias } : packed;
  };
  // Gates and what they let pass meet in the same dispatch: both must be whole blocks.
  const gated = STACKS.gateUp.every((name) => linears[name].weight.rows % BLOCK === 0);
  block.stacked = {
    qkv: stack(STACKS.qkv, qkvBias),
    gateUp: gated ? stack(STACKS.gateUp) : undefined,
  };
  for (const name of SINGLE) linears[name].packed = stack([name], linears[name].bias);
}

/** The linear layers of a block of which nothing is packed. */
export function unpacked({ linears, stacked }: BlockWeights): BlockLinear[] {
  return [
    ...(stacked?.qkv ? [] : STACKS.qkv),
    ...(stacked?.gateUp ? [] : STACKS.gateUp),
    ...SINGLE.filter((name) => !linears[name].packed),
  ];
}

/**
 * Gives an adapter textures for its factors, as {@link packWeights} does for weights: what they add then goes with the products of
 * those in the same dispatch. Changes the blocks, which must be the adapter's own.
 *
 * @returns what fills them, once the factors are there
 */
export function packFactors(
  gpu: Gpu,
  { blocks, textures }: Pick<ModelWeights, "blocks" | "textures">,
): () => Promise<void> {
  const { pack, planned } = packer(gpu, textures, false);
  for (const block of takesPacked(gpu) ? blocks : []) packShares(block, pack);
  return () => fill(gpu, planned);
}

/** Gives a block what can be packed of an adapter's factors. Changes the block, which must be the adapter's own. */
export function packShares(block: BlockWeights, pack: Pack): void {
  const { linears } = block;
  for (const name of [...STACKS.qkv, ...SINGLE]) {
    const { lora } = linears[name];
    if (lora) linears[name] = { ...linears[name], lora: { ...lora, packed: pack([lora.b]) } };
  }
  for (const names of [STACKS.qkv, STACKS.gateUp, ...SINGLE.map((name) => [name])]) {
    packLows(linears, names, pack);
  }
  const [gate, up] = STACKS.gateUp.map((name) => linears[name].lora);
  if (!gate?.low || !up?.low || gate.scale !== up.scale || !block.stacked?.gateUp) return;
  const b = pack([gate.b, up.b]);
  const { stack } = gate.low;
  const firsts = [gate.low.first, up.low.first];
  const share = b && { lows: stack, firsts, b, scale: gate.scale };
  block.stacked = { ...block.stacked, gateUpShare: share };
}

/** Packs the factors A of linear layers with one input, each once; where B can be packed, which takes ranks of whole eights. */
function packLows(
  linears: Record<BlockLinear, Linear>,
  names: readonly BlockLinear[],
  pack: Pack,
): void {
  const factors = [...new Set(names.flatMap((name) => linears[name].lora?.a ?? []))];
  const fit = factors.length > 0 && factors.every(({ rows }) => rows % 8 === 0);
  const stack = fit ? pack(factors, true) : undefined;
  if (!stack) return;
  const firsts = packedRows(factors);
  for (const name of names) {
    const { lora } = linears[name];
    if (!lora) continue;
    const low = { stack, first: firsts[factors.indexOf(lora.a)] };
    linears[name] = { ...linears[name], lora: { ...lora, low } };
  }
}

/** Packs into textures of their own, and notes what is to be filled. */
function packer(
  gpu: Gpu,
  textures: GPUTexture[],
  forWeights: boolean,
): { pack: Pack; planned: PackedMatrix[] } {
  const planned: PackedMatrix[] = [];
  const pack: Pack = (parts, padded) => {
    const make = (bytes: number) => gpu.texels.create(bytes, forWeights);
    const packed = planPacked(parts, make, padded);
    if (!packed) return undefined;
    planned.push(packed);
    textures.push(packed.texture);
    return packed;
  };
  return { pack, planned };
}

/** Fills textures with what is now on the device. */
async function fill(gpu: Gpu, planned: readonly PackedMatrix[]): Promise<void> {
  if (planned.length === 0) return;
  const recorder = gpu.record();
  try {
    for (const one of planned) recordPacking(recorder, one);
    await recorder.submit();
  } finally {
    recorder.close();
  }
}
