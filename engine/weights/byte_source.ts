/** Where weights are read from: bytes at an offset. The engine knows no files; `models/` opens them, a browser may fetch ranges. */

import { WeightsError } from "../errors.ts";

/** Bytes of known length that are read in ranges. */
export interface ByteSource {
  /** For messages: the file's name. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes from `offset` into a buffer of their own.
   *
   * @throws {WeightsError} if the range is outside the source, or fewer bytes come back than were asked for
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The same into memory that is there already, in sources that need no copy of their own for it; see {@link readInto}. */
  readInto?(offset: number, target: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Ends the use of a source that holds something open; reads after it fail. */
  close?(): void;
}

/** Fills `target` with the bytes from `offset` on; throws as {@link ByteSource.read}. */
export async function readInto(
  source: ByteSource,
  offset: number,
  target: Uint8Array<ArrayBuffer>,
): Promise<void> {
  if (source.readInto) return await source.readInto(offset, target);
  target.set(await source.read(offset, target.length));
}

/** A source over bytes that are in memory already; reads are copies. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.length,
    read: (offset, length) =>
      Promise.try(() => {
        checkRange(name, bytes.length, offset, length);
        return new Uint8Array(bytes.subarray(offset, offset + length));
      }),
  };
}

/**
 * Makes sure that `length` bytes at `offset` lie within a source; every {@link ByteSource} calls it before it allocates.
 *
 * @throws {WeightsError} if they do not
 */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  const sane = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 &&
    length >= 0;
  if (!sane || offset + length > size) {
    throw new WeightsError(
      `Cannot read ${length} bytes at ${offset} of "${name}": it has ${size} bytes`,
    );
  }
}
