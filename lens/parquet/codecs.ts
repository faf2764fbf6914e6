/** Decompresses the pages of Parquet files, never into more bytes than the page's header says. */

import {
  decompressBrotli,
  decompressGzip,
  decompressLz4,
  decompressLz4Raw,
  decompressSnappy,
  decompressZstd,
} from "hyparquet-compressors";
import { TextError } from "../../engine/errors.ts";

type Decompress = (input: Uint8Array, size: number) => Uint8Array;

/** By the names of the format's specification (`CompressionCodec`). */
const CODECS: Record<string, Decompress> = {
  UNCOMPRESSED: (input) => input,
  SNAPPY: snappy,
  GZIP: decompressGzip,
  BROTLI: decompressBrotli,
  // A buffer of its own keeps a small page from growing without end.
  ZSTD: (input, size) => decompressZstd(input, new Uint8Array(size)),
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
};

/**
 * The codec, if it is one that can be read.
 *
 * @param where names the column in messages
 * @throws {TextError} that names the codec, if it is not
 */
export function checkedCodec(codec: string | undefined, where: string): string {
  if (codec !== undefined && Object.hasOwn(CODECS, codec)) return codec;
  const known = Object.keys(CODECS).map((name) => name.toLowerCase()).join(", ");
  throw new TextError(
    `Cannot read texts: ${where} is compressed with ${
      codec?.toLowerCase() ?? "an unknown codec"
    } (supported: ${known})`,
  );
}

/**
 * The bytes of a page.
 *
 * @param codec one that {@link checkedCodec} has passed
 * @param size how many bytes the page has, which the caller has checked
 * @throws {Error} if the page is damaged or does not have that size
 */
export function decompressPage(codec: string, input: Uint8Array, size: number): Uint8Array {
  const page = size === 0 ? new Uint8Array(0) : CODECS[codec](input, size);
  if (page.length === size) return page;
  throw new Error(`a page has ${page.length} bytes, its header says ${size}`);
}

/** The decompressor goes by the length that its input begins with, so that must be the one that was checked. */
function snappy(input: Uint8Array, size: number): Uint8Array {
  let length = 0;
  for (let i = 0; i < 5 && i < input.length; i++) {
    length += (input[i] & 0x7f) * 2 ** (7 * i);
    if (input[i] < 0x80) break;
  }
  if (length !== size) throw new Error(`a page has ${length} bytes, its header says ${size}`);
  return decompressSnappy(input, size);
}
