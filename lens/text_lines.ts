/** The bytes and lines of a file, one after the other, without holding the file. */

import { createHash } from "node:crypto";
import { TextError } from "../engine/errors.ts";

/** A longer line is no document; reading on would only fill the memory. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** A compressed file may say anything of its length, and its texts are held in memory. */
const MAX_UNPACKED_BYTES = 4 * 2 ** 30;

const NEWLINE = 0x0a;

/** A file on this machine. */
export interface TextPath {
  path: string;
  /** What to call it in messages. */
  name: string;
  /** Whether it is compressed with gzip. */
  gzip: boolean;
}

/**
 * The lines of a UTF-8 file without their ends (`\n` or `\r\n`) and without a byte order mark.
 *
 * @param onBytes is given every byte of the file as it is stored, in order
 * @throws {TextError} if the file cannot be read or unpacked, is not UTF-8, or a line is over 64 MiB
 */
export async function* readLines(
  file: TextPath,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<string> {
  let number = 0;
  for await (const bytes of byteLines(file, onBytes)) {
    number++;
    let line: string;
    try {
      line = new TextDecoder("utf-8", { fatal: true, ignoreBOM: number > 1 }).decode(bytes);
    } catch {
      throw new TextError(`Cannot read texts: line ${number} of "${file.name}" is not UTF-8`);
    }
    yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
}

/**
 * A whole file of UTF-8.
 *
 * @param limit the most bytes that it may have, unpacked
 * @throws {TextError} if it has more, cannot be read or unpacked, or is not UTF-8
 */
export async function readWhole(
  file: TextPath,
  limit: number,
  onBytes: (bytes: Uint8Array) => void,
): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of contents(file, onBytes)) {
    length += chunk.length;
    if (length > limit) {
      throw new TextError(
        `Cannot read texts: "${file.name}" has over ${limit} bytes, which is too much for one JSON value; ` +
          "write an object a line (.jsonl)",
      );
    }
    parts.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(joined(parts));
  } catch {
    throw new TextError(`Cannot read texts: "${file.name}" is not UTF-8`);
  }
}

/** SHA-256 in hex of a file. */
export async function sha256OfFile(path: string, name: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of fileChunks(path, name)) hash.update(chunk);
  return hash.digest("hex");
}

async function* byteLines(
  file: TextPath,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of contents(file, onBytes)) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield joined([...parts, chunk.subarray(start, end)]);
      parts = [];
      length = 0;
      start = end + 1;
    }
    length += chunk.length - start;
    if (length > MAX_LINE_BYTES) {
      throw new TextError(`Cannot read texts: "${file.name}" has a line of over 64 MiB`);
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
  if (parts.length > 0) yield joined(parts);
}

/** A file's bytes, unpacked. */
async function* contents(
  { path, name, gzip }: TextPath,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  const stored = tap(fileChunks(path, name), onBytes);
  if (!gzip) return yield* stored;
  let length = 0;
  try {
    const stream = ReadableStream.from(stored).pipeThrough(new DecompressionStream("gzip"));
    for await (const chunk of stream) {
      length += chunk.length;
      if (length > MAX_UNPACKED_BYTES) {
        throw new TextError(`Cannot read texts: "${name}" unpacks to over 4 GiB`);
      }
      yield chunk;
    }
  } catch (cause) {
    if (cause instanceof TextError) throw cause;
    const reason = (cause as Error).message;
    throw new TextError(`Cannot read texts: "${name}" is not a whole gzip file (${reason})`, {
      cause,
    });
  }
}

async function* tap(
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const chunk of chunks) {
    onBytes(chunk);
    yield chunk;
  }
}

async function* fileChunks(path: string, name: string): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  try {
    using file = await Deno.open(path);
    const info = await file.stat();
    if (info.isDirectory) throw new TextError(`Cannot read texts: "${name}" is a folder`);
    for (;;) {
      const buffer = new Uint8Array(256 * 1024);
      const read = await file.read(buffer);
      if (read === null) return;
      yield buffer.subarray(0, read);
    }
  } catch (cause) {
    if (cause instanceof TextError) throw cause;
    throw unreadable(name, cause);
  }
}

/** The error of a file that the system will not open or read. */
export function unreadable(name: string, cause: unknown): TextError {
  const missing = cause instanceof Deno.errors.NotFound;
  const reason = missing ? "there is no such file" : (cause as Error).message;
  return new TextError(`Cannot read texts from "${name}": ${reason}`, { cause });
}

function joined(parts: Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
