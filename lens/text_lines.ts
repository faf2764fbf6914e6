/** The lines of a file, one after the other, without holding the file. */

import { TextError } from "../engine/errors.ts";

/** A longer line is no document; reading on would only fill the memory. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * The lines of a UTF-8 file without their ends (`\n` or `\r\n`) and without a byte order mark.
 *
 * @param onBytes is given every byte of the file, in order
 * @throws {TextError} if the file cannot be read, is not UTF-8, or a line is over 64 MiB
 */
export async function* readLines(
  path: string,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<string> {
  let number = 0;
  for await (const bytes of byteLines(path, onBytes)) {
    number++;
    let line: string;
    try {
      line = new TextDecoder("utf-8", { fatal: true, ignoreBOM: number > 1 }).decode(bytes);
    } catch {
      throw new TextError(`Cannot read texts: line ${number} of "${path}" is not UTF-8`);
    }
    yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
}

async function* byteLines(
  path: string,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of fileChunks(path)) {
    onBytes(chunk);
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield joined([...parts, chunk.subarray(start, end)]);
      parts = [];
      length = 0;
      start = end + 1;
    }
    length += chunk.length - start;
    if (length > MAX_LINE_BYTES) {
      throw new TextError(`Cannot read texts: "${path}" has a line of over 64 MiB`);
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
  if (parts.length > 0) yield joined(parts);
}

async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    using file = await Deno.open(path);
    const info = await file.stat();
    if (info.isDirectory) throw new TextError(`Cannot read texts: "${path}" is a folder`);
    for (;;) {
      const buffer = new Uint8Array(256 * 1024);
      const read = await file.read(buffer);
      if (read === null) return;
      yield buffer.subarray(0, read);
    }
  } catch (cause) {
    if (cause instanceof TextError) throw cause;
    const missing = cause instanceof Deno.errors.NotFound;
    const reason = missing ? "there is no such file" : (cause as Error).message;
    throw new TextError(`Cannot read texts from "${path}": ${reason}`, { cause });
  }
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
