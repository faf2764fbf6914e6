/** The footer of a Parquet file: its schema, and where each column of each row group lies. */

import { type FileMetaData, parquetMetadata } from "hyparquet";
import { TextError } from "../../engine/errors.ts";
import type { ByteSource } from "../../engine/weights/byte_source.ts";

/** A footer lists every column of every row group; those of large web corpora have 3 MB. */
const MAX_FOOTER_BYTES = 2 ** 25;

/** Read at first: the footer of a small file comes with its length. */
const TAIL_BYTES = 2 ** 16;

/** The footer's length and the format's mark. */
const END_BYTES = 8;

/**
 * Reads the footer.
 *
 * @throws {TextError} if the file is not Parquet, cut off, encrypted or damaged
 */
export async function readFooter(source: ByteSource): Promise<FileMetaData> {
  const fail = (why: string, cause?: unknown) =>
    new TextError(`Cannot read texts: ${JSON.stringify(source.name)} ${why}`, { cause });
  if (source.size < END_BYTES + 4) {
    throw fail(`is no Parquet file: it has ${source.size} bytes`);
  }
  const tailBytes = Math.min(source.size, TAIL_BYTES);
  let tail = await source.read(source.size - tailBytes, tailBytes);
  const mark = String.fromCharCode(...tail.subarray(-4));
  if (mark === "PARE") throw fail("is an encrypted Parquet file, which is not supported");
  if (mark !== "PAR1") throw fail("is no Parquet file, or cut off: it does not end with PAR1");
  const length = new DataView(tail.buffer).getUint32(tailBytes - END_BYTES, true);
  const needed = length + END_BYTES;
  if (needed > source.size) {
    throw fail(`is damaged: its footer of ${length} bytes is longer than the file`);
  }
  if (length > MAX_FOOTER_BYTES) {
    throw fail(`has a footer of ${length} bytes, over ${MAX_FOOTER_BYTES}`);
  }
  if (needed > tailBytes) tail = await source.read(source.size - needed, needed);
  try {
    return parquetMetadata(tail.subarray(-needed), { geoparquet: false });
  } catch (cause) {
    throw fail(`is damaged: its footer cannot be read (${(cause as Error).message})`, cause);
  }
}
