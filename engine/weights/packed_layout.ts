/** Weights that go to textures straight from the file: the host puts them into the order in which kernels read them. */

import type { Gpu } from "../gpu/gpu.ts";
import { TEXEL_BYTES } from "../gpu/texels.ts";
import { leastTexels } from "../ops/many_rows.ts";
import type { Checkpoint } from "./checkpoint.ts";
import {
  type MakeBuffer,
  type MatrixPart,
  matrixShape,
  rowReader,
  WeightLayout,
  type WeightMatrix,
} from "./matrix.ts";
import { BLOCK, type PackedMatrix, planPacked, texelsOfRow } from "./packed.ts";
import type { Transfer } from "./transfer.ts";

/** Bytes that are read at a time: they are packed while a core has them at hand. */
const READ_BYTES = 1 << 20;

/** Where a {@link PackedLayout} puts what it is given. */
export interface PackedPlaces {
  buffer: MakeBuffer;
  texture: (bytes: number) => GPUTexture;
}

/** Lays vectors out as others do; matrices are for {@link pack}, for {@link store}, or for both. */
export class PackedLayout extends WeightLayout {
  readonly #parts = new Map<WeightMatrix, MatrixPart>();
  readonly #stored = new Map<MatrixPart, WeightMatrix>();
  /** Bytes of a texture that the products need in any case: see `leastTexels`. */
  least = 0;

  constructor(gpu: Gpu, checkpoint: Checkpoint, private readonly places: PackedPlaces) {
    super(gpu, checkpoint, places.buffer);
  }

  /** Notes a matrix; it has no windows. */
  override matrix(part: MatrixPart): WeightMatrix {
    const { name, rows, columns } = part;
    const matrix = { name, rows, columns, ...matrixShape(this.checkpoint, part), windows: [] };
    this.#parts.set(matrix, part);
    return matrix;
  }

  /** Lays matrices of this layout out as one that is packed, if they can be; see `planPacked`. */
  pack(matrices: readonly WeightMatrix[], padded = false): PackedMatrix | undefined {
    if (!matrices.every((matrix) => this.#parts.has(matrix))) return undefined;
    const { texels } = this.gpu;
    const least = leastTexels(matrices[0]);
    if (least > texels.largest) return undefined;
    const fitting = (bytes: number) => texels.fits(bytes) ? this.places.texture(bytes) : undefined;
    const packed = planPacked(matrices, fitting, padded);
    if (!packed) return undefined;
    this.least = Math.max(this.least, least);
    let offset = 0;
    for (const matrix of matrices) {
      const part = this.#parts.get(matrix)!;
      const [unit, units] = [BLOCK * matrix.rowBytes, Math.ceil(matrix.rows / BLOCK)];
      const position = this.checkpoint.position(part.name);
      const fill = blockReader(this.checkpoint, part, matrix);
      this.transfers.push({ to: packed.texture, offset, unit, units, position, fill });
      offset += unit * units;
    }
    return packed;
  }

  /** Lays a matrix out as it is stored, once; one that is not of this layout stays where it is. */
  store(matrix: WeightMatrix): WeightMatrix {
    const part = this.#parts.get(matrix);
    if (!part) return matrix;
    let stored = this.#stored.get(part);
    if (!stored) this.#stored.set(part, stored = super.matrix(part));
    this.#parts.set(stored, part);
    return stored;
  }
}

/** Reads blocks of a tensor's rows, and packs them. */
function blockReader(
  checkpoint: Checkpoint,
  part: MatrixPart,
  matrix: WeightMatrix,
): Transfer["fill"] {
  const { rows, rowBytes } = matrix;
  const blockBytes = BLOCK * rowBytes;
  const most = BLOCK * Math.max(1, Math.floor(READ_BYTES / blockBytes));
  const read = rowReader(checkpoint, part, matrix, part.firstRow ?? 0);
  return async (target, first, count) => {
    const end = Math.min(rows, BLOCK * (first + count));
    const stored = new Uint8Array(Math.min(most, end - BLOCK * first) * rowBytes);
    for (let row = BLOCK * first; row < end; row += most) {
      const some = stored.subarray(0, Math.min(most, end - row) * rowBytes);
      await read(some, row, some.length / rowBytes);
      packRows(some, target.subarray((row - BLOCK * first) * rowBytes), matrix);
    }
  };
}

/**
 * Puts rows into the order of pack_texels.wgsl.
 *
 * @param stored whole rows, of which the last block may have fewer; there the target gets zeros
 * @param target starts at a multiple of 4 bytes of its memory, as `stored` does
 */
export function packRows(
  stored: Uint8Array<ArrayBuffer>,
  target: Uint8Array<ArrayBuffer>,
  { dtype, columns }: Pick<WeightMatrix, "dtype" | "columns">,
): void {
  const texels = texelsOfRow(dtype, columns);
  const rows = stored.length / (TEXEL_BYTES * texels);
  const blocks = Math.ceil(rows / BLOCK);
  const length = blocks * BLOCK * texels * TEXEL_BYTES;
  const from = new Int32Array(stored.buffer, stored.byteOffset, stored.length / 4);
  const to = new Int32Array(target.buffer, target.byteOffset, length / 4);
  if (rows % BLOCK !== 0) to.fill(0);
  const parts = 8 * texels / columns; // of eight numbers, a texel each
  for (let row = 0, at = 0; row < rows; row++) {
    const block = Math.floor(row / BLOCK);
    const [lane, c] = [row % BLOCK >> 2, row % 4];
    for (let part = 0; part < parts; part++) {
      // By words: texels are four of them, and eight numbers of a block are `parts` times as many as it has rows.
      let [source, out] = [
        at + 4 * part,
        4 * (block * BLOCK * texels + (c * parts + part) * 8 + lane),
      ];
      for (let i = part; i < texels; i += parts) {
        to[out] = from[source];
        to[out + 1] = from[source + 1];
        to[out + 2] = from[source + 2];
        to[out + 3] = from[source + 3];
        source += 4 * parts;
        out += 4 * BLOCK * parts;
      }
    }
    at += 4 * texels;
  }
}
