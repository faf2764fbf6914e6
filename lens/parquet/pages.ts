/**
 * The values of one column chunk, page by page. `hyparquet` decodes the pages; what they claim about themselves is checked
 * first, since it would believe them.
 */

import type { DecodedArray, PageHeader } from "hyparquet";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { convert } from "hyparquet/src/convert.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from "hyparquet/src/schema.js";
import { decompressPage } from "./codecs.ts";
import { checkDeltaHeader, checkRuns } from "./runs.ts";

/** What `hyparquet` needs to know of a column. */
export type ColumnDecoder = Parameters<typeof readPage>[2];

/** The most that the pages of one chunk may take together, decompressed. */
export const MAX_CHUNK_BYTES = 2 ** 30;

/** The most values of one chunk; files for training have thousands, at most a million rows. */
export const MAX_CHUNK_VALUES = 2 ** 24;

/** Encodings of texts; a value of DELTA_BYTE_ARRAY can repeat all of the one before, so a small page may be endless. */
const ENCODINGS = ["PLAIN", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_LENGTH_BYTE_ARRAY"];

/** What is left of a chunk's limits. */
interface Budget {
  bytes: number;
  values: number;
}

/** A page, decompressed: its levels, then its values. */
interface Page {
  header: PageHeader;
  bytes: Uint8Array;
}

/**
 * Decodes a chunk `bytes` of a column of texts.
 *
 * @returns the values by row; of a column in a list the nested arrays that `assembleNested` takes
 * @throws {Error} if the chunk is damaged, too large, or encoded in a way that is not supported
 */
export function readPages(bytes: Uint8Array, decoder: ColumnDecoder): unknown[] {
  const reader = { view: viewOf(bytes), offset: 0 };
  const budget: Budget = { bytes: MAX_CHUNK_BYTES, values: MAX_CHUNK_VALUES };
  const plain: ColumnDecoder = { ...decoder, codec: "UNCOMPRESSED" };
  const rows: unknown[] = [];
  let dictionary: DecodedArray | undefined;
  // hyparquet too takes a single byte at the end for padding.
  while (reader.offset < bytes.length - 1) {
    const found = parquetHeader(reader);
    const size = found.compressed_page_size;
    if (!(size >= 0 && size <= bytes.length - reader.offset)) {
      throw new Error(`a page of ${size} bytes, ${bytes.length - reader.offset} are left`);
    }
    const body = bytes.subarray(reader.offset, reader.offset + size);
    reader.offset += size;
    const count = checkedCount(found, budget);
    if (count === 0) continue;
    const { header, bytes: page } = found.data_page_header_v2
      ? openSecondKind(body, found, decoder, count)
      : openFirstKind(body, found, decoder, count);
    header.compressed_page_size = header.uncompressed_page_size = page.length;
    const at = { view: viewOf(page), offset: 0 };
    const { data } = readPage(at, header, plain, dictionary, rows, 0);
    if (header.type === "DICTIONARY_PAGE") dictionary = data && convert(data, decoder);
    else if (data !== rows) { for (const value of data ?? []) rows.push(value); }
  }
  return rows;
}

/** How many values a page has, when neither they nor its bytes are too many. */
function checkedCount(header: PageHeader, budget: Budget): number {
  const size = header.uncompressed_page_size;
  budget.bytes -= size;
  if (!(size >= 0 && budget.bytes >= 0)) {
    throw new Error(`pages of over ${MAX_CHUNK_BYTES} bytes in one row group`);
  }
  const own = header.data_page_header ?? header.data_page_header_v2 ??
    header.dictionary_page_header;
  const count = own?.num_values ?? NaN;
  budget.values -= count;
  if (!(count >= 0 && budget.values >= 0)) {
    throw new Error(`over ${MAX_CHUNK_VALUES} values in one row group`);
  }
  return count;
}

/** A dictionary, or a data page of the first kind, where all is compressed and each kind of levels follows its length. */
function openFirstKind(
  body: Uint8Array,
  header: PageHeader,
  { codec, schemaPath }: ColumnDecoder,
  count: number,
): Page {
  const page = decompressPage(codec, body, header.uncompressed_page_size);
  if (header.type === "DICTIONARY_PAGE") return { header, bytes: page };
  let at = 0;
  for (const highest of [getMaxRepetitionLevel(schemaPath), getMaxDefinitionLevel(schemaPath)]) {
    if (highest === 0) continue;
    const length = viewOf(page).getUint32(at, true);
    at += 4;
    if (length > page.length - at) throw new Error("a page whose levels are longer than it is");
    checkRuns(page.subarray(at, at + length), bitWidth(highest), count);
    at += length;
  }
  checkValues(page.subarray(at), header.data_page_header?.encoding, count);
  return { header, bytes: page };
}

/** A data page of the second kind: both kinds of levels, with their lengths in the header, are not compressed. */
function openSecondKind(
  body: Uint8Array,
  header: PageHeader,
  { codec, schemaPath }: ColumnDecoder,
  count: number,
): Page {
  const own = header.data_page_header_v2!;
  const first = own.repetition_levels_byte_length;
  const levels = first + own.definition_levels_byte_length;
  const size = header.uncompressed_page_size - levels;
  const sane = first >= 0 && own.definition_levels_byte_length >= 0 && levels <= body.length &&
    size >= 0;
  if (!sane) throw new Error("a page whose levels are longer than it is");
  checkRuns(body.subarray(0, first), bitWidth(getMaxRepetitionLevel(schemaPath)), count);
  const highest = getMaxDefinitionLevel(schemaPath);
  const nulls = countNulls(body.subarray(first, levels), highest, count);
  const packed = body.subarray(levels);
  const data = own.is_compressed === false ? packed : decompressPage(codec, packed, size);
  checkValues(data, own.encoding, count);
  const bytes = new Uint8Array(levels + data.length);
  bytes.set(body.subarray(0, levels));
  bytes.set(data, levels);
  // Writers do not agree on whether an absent list counts as a null; the levels say what has a value.
  return { header: { ...header, data_page_header_v2: { ...own, num_nulls: nulls } }, bytes };
}

/** How many of a page's values are not there. */
function countNulls(levels: Uint8Array, highest: number, count: number): number {
  if (highest === 0) return 0;
  checkRuns(levels, bitWidth(highest), count);
  const found: number[] = new Array(count);
  readRleBitPackedHybrid(
    { view: viewOf(levels), offset: 0 },
    bitWidth(highest),
    found,
    levels.length,
  );
  return found.reduce((nulls, level) => nulls + (level < highest ? 1 : 0), 0);
}

function checkValues(data: Uint8Array, encoding: string | undefined, count: number): void {
  if (encoding === undefined || !ENCODINGS.includes(encoding)) {
    throw new Error(
      `values encoded as ${encoding ?? "unknown"} (supported: ${ENCODINGS.join(", ")})`,
    );
  }
  if (encoding.endsWith("_DICTIONARY") && data.length > 0) {
    checkRuns(data.subarray(1), data[0], count);
  }
  if (encoding === "DELTA_LENGTH_BYTE_ARRAY" && data.length > 0) checkDeltaHeader(data);
}

function bitWidth(highest: number): number {
  return 32 - Math.clz32(highest);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
