/**
 * Reads safetensors files in ranges: the header once, then a tensor or some of its rows at a time.
 *
 * Format (huggingface/safetensors): 8 bytes little-endian length n, n bytes of JSON
 * `{"name": {"dtype", "shape", "data_offsets": [begin, end]}, …, "__metadata__"?: {text: text}}`, then the data; offsets
 * count from the data's start, and the tensors cover the data without holes or overlaps.
 */

import { WeightsError } from "../errors.ts";
import { type ByteSource, readInto } from "./byte_source.ts";
import { DTYPE_BYTES, toFloat32 } from "./dtype.ts";
import { nearestNames, quote } from "./names.ts";
import { parseHeader, type TensorInfo } from "./safetensors_header.ts";

export type { TensorInfo };

/** The most bytes that a header may have; the reference implementation's limit too. */
const MAX_HEADER_BYTES = 100_000_000;

/** An open file whose header is checked: every tensor in it lies within the file and has the bytes of its shape. */
export class SafetensorsFile {
  constructor(
    private readonly source: ByteSource,
    /** By name, in the header's order. */
    readonly tensors: ReadonlyMap<string, TensorInfo>,
    /** The header's `__metadata__`. */
    readonly metadata: Readonly<Record<string, string>>,
    /** Where the data starts in the file. */
    private readonly dataStart: number,
  ) {}

  /** The file's name, for messages. */
  get name(): string {
    return this.source.name;
  }

  /**
   * What is known of a tensor.
   *
   * @throws {WeightsError} if there is none of that name
   */
  info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info) return info;
    throw missingTensor(name, this.name, this.tensors.keys());
  }

  /**
   * The bytes of a tensor as stored: row-major, little-endian.
   *
   * @throws {WeightsError} if there is none of that name, or the file has shrunk
   */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { begin, end } = this.info(name);
    return await this.source.read(this.dataStart + begin, end - begin);
  }

  /**
   * The bytes of rows `firstRow … firstRow + rows − 1` of a `[rows, columns]` tensor; no others are read.
   *
   * @throws {WeightsError} if the tensor is not 2-D or has no such rows
   */
  async readRows(name: string, firstRow: number, rows: number): Promise<Uint8Array<ArrayBuffer>> {
    const { offset, length } = this.#rows(name, firstRow, rows);
    return await this.source.read(offset, length);
  }

  /** {@link readRows} into `target`, which has just their length. */
  async readRowsInto(
    name: string,
    firstRow: number,
    rows: number,
    target: Uint8Array<ArrayBuffer>,
  ): Promise<void> {
    const { offset, length } = this.#rows(name, firstRow, rows);
    if (length !== target.length) {
      throw new WeightsError(
        `Cannot read ${rows} rows of tensor ${quote(name)} into ${target.length} bytes`,
      );
    }
    await readInto(this.source, offset, target);
  }

  /** Where a tensor begins in the file: tensors are read fastest in this order. */
  position(name: string): number {
    return this.dataStart + this.info(name).begin;
  }

  /** Closes the file; reads after it fail. */
  close(): void {
    this.source.close?.();
  }

  #rows(name: string, firstRow: number, rows: number): { offset: number; length: number } {
    const { shape, dtype, begin } = this.info(name);
    const counts = Number.isSafeInteger(firstRow) && Number.isSafeInteger(rows);
    if (shape.length !== 2 || !counts || firstRow < 0 || rows < 0 || firstRow + rows > shape[0]) {
      throw new WeightsError(
        `Cannot read ${rows} rows from row ${firstRow} of tensor ${
          quote(name)
        } of "${this.name}": ` +
          `its shape is [${shape.join(", ")}]`,
      );
    }
    const rowBytes = shape[1] * DTYPE_BYTES[dtype];
    return { offset: this.dataStart + begin + firstRow * rowBytes, length: rows * rowBytes };
  }

  /**
   * A floating-point tensor, widened exactly.
   *
   * @throws {WeightsError} if its dtype is not F32, F16 or BF16
   */
  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { dtype } = this.info(name);
    const bytes = await this.read(name);
    try {
      return toFloat32(bytes, dtype);
    } catch (error) {
      throw new WeightsError(
        `Cannot read tensor ${quote(name)} of "${this.name}" as float32: ${
          (error as Error).message
        }`,
      );
    }
  }
}

/**
 * Opens a safetensors file: reads its header and checks it against the file's size; no weights are read.
 *
 * @throws {WeightsError} if the file is truncated or its header is malformed
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const fail = (what: string): never => {
    throw new WeightsError(`Cannot read "${source.name}" as safetensors: ${what}`);
  };
  if (source.size < 8) fail(`it has ${source.size} bytes, fewer than the length of a header takes`);
  const first = await source.read(0, 8);
  const headerBytes = new DataView(first.buffer).getBigUint64(0, true);
  if (headerBytes > BigInt(MAX_HEADER_BYTES)) {
    fail(`its header claims ${headerBytes} bytes, more than the ${MAX_HEADER_BYTES} allowed`);
  }
  const dataStart = 8 + Number(headerBytes);
  if (dataStart > source.size) {
    fail(`its header claims ${headerBytes} bytes, but the file has ${source.size} (truncated?)`);
  }
  const header = parseHeader(
    await source.read(8, dataStart - 8),
    source.size - dataStart,
    source.name,
  );
  return new SafetensorsFile(source, header.tensors, header.metadata, dataStart);
}

/** The error for a name that `where` does not have, with the names that come nearest. */
export function missingTensor(name: string, where: string, names: Iterable<string>): WeightsError {
  const near = nearestNames(name, names).map(quote);
  const hint = near.length > 0 ? ` (nearest: ${near.join(", ")})` : "";
  return new WeightsError(`Tensor ${quote(name)} is missing from "${where}"${hint}`);
}
