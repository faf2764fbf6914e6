/**
 * Checks of encodings in which a few bytes stand for any number of values: what a page claims is compared with its header
 * before a decoder believes it.
 */

/** More values than a page has may only stand in the last group of a run. */
const SLACK = 512;

/**
 * Walks an RLE / bit-packed hybrid stream.
 *
 * @param width bits of a value
 * @param values how many values the stream is for
 * @throws {Error} if a run has more
 */
export function checkRuns(bytes: Uint8Array, width: number, values: number): void {
  if (width > 32) throw new Error(`values of ${width} bits`);
  const reader = { bytes, at: 0 };
  for (let seen = 0; seen < values && reader.at < bytes.length;) {
    const header = varint(reader);
    const packed = header % 2 === 1;
    const count = packed ? 8 * Math.floor(header / 2) : header / 2;
    if (count > values + SLACK) throw new Error(`a run of ${count} values in a page of ${values}`);
    reader.at += packed ? count * width / 8 : Math.ceil(width / 8);
    seen += count;
  }
}

/**
 * Looks at the head of a stream of DELTA_BINARY_PACKED lengths.
 *
 * @throws {Error} if its blocks are none that a writer makes
 */
export function checkDeltaHeader(bytes: Uint8Array): void {
  const reader = { bytes, at: 0 };
  const blockSize = varint(reader);
  const miniblocks = varint(reader);
  const sane = blockSize > 0 && blockSize <= 1 << 20 && miniblocks > 0 &&
    blockSize % miniblocks === 0;
  if (!sane) throw new Error(`blocks of ${blockSize} values in ${miniblocks} parts`);
}

/** An unsigned number of seven bits a byte; at most 32 bits. */
function varint(reader: { bytes: Uint8Array; at: number }): number {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    if (reader.at >= reader.bytes.length) throw new Error("a page ends within a number");
    const byte = reader.bytes[reader.at++];
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) {
      if (value >= 2 ** 32) break;
      return value;
    }
  }
  throw new Error("a number of over 32 bits");
}
