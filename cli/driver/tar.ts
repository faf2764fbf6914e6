/** A reader of flat ustar archives: regular files in one folder, which is all that a driver's archive may hold. */

const BLOCK = 512;

/** One regular file of an archive. */
export interface TarFile {
  name: string;
  data: Uint8Array<ArrayBuffer>;
}

function text(field: Uint8Array): string {
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function octal(field: Uint8Array, what: string): number {
  const digits = text(field).trim();
  if (!/^[0-7]+$/.test(digits)) {
    throw new RangeError(
      `Cannot read the archive: its ${what} is "${digits}", not an octal number`,
    );
  }
  return parseInt(digits, 8);
}

/** The header's checksum counts its own field (8 bytes at 148) as spaces. */
function checksum(header: Uint8Array): number {
  return header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 0x20 : byte), 0);
}

function plainName(header: Uint8Array): string {
  const name = text(header.subarray(0, 100));
  const prefix = text(header.subarray(345, 500));
  if (prefix !== "" || !/^[\w.+-]+$/.test(name) || /^\.+$/.test(name)) {
    throw new RangeError(`Cannot read the archive: "${prefix}${name}" is not a plain file name`);
  }
  return name;
}

/**
 * The files of a ustar archive, in its order.
 *
 * @throws {RangeError} when a header is damaged, a file runs past the end, an entry is not a regular file, or a name has a
 *   path in it.
 */
export function readTar(archive: Uint8Array<ArrayBuffer>): TarFile[] {
  const files: TarFile[] = [];
  for (let at = 0; at + BLOCK <= archive.length;) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return files;
    if (octal(header.subarray(148, 156), "checksum") !== checksum(header)) {
      throw new RangeError(`Cannot read the archive: the header at byte ${at} is damaged`);
    }
    const name = plainName(header);
    const type = String.fromCharCode(header[156]);
    if (type !== "0" && type !== "\0") {
      throw new RangeError(`Cannot read the archive: "${name}" is not a regular file`);
    }
    const size = octal(header.subarray(124, 136), `size of "${name}"`);
    const start = at + BLOCK;
    if (start + size > archive.length) {
      throw new RangeError(`Cannot read the archive: "${name}" runs past its end`);
    }
    files.push({ name, data: archive.subarray(start, start + size) });
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}
