/**
 * The text of single tokens, as a reader would write it.
 *
 * A token need not be text: a byte-level vocabulary cuts characters into bytes. Bytes that are no whole UTF-8 character are
 * written as `\xE2`. So that this can be read back, a backslash that the token itself holds is written `\x5C` where it stands
 * before `x` and two hexadecimal digits, and nowhere else: every `\xHH` is one byte, everything else stands for itself.
 */

/** How a vocabulary spells text. */
export type TokenSpelling = "byte-level" | "metaspace" | "plain";

/** Byte-level vocabularies write each byte as one printable character; this maps it back. */
const BYTE_OF_CHARACTER = byteOfCharacter();

/**
 * GPT-2's byte alphabet: printable Latin-1 characters stand for themselves, the other 68 bytes are written, in order, with the
 * characters from U+0100 on (so a space is `Ġ`).
 */
function byteOfCharacter(): Map<string, number> {
  const map = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
      byte >= 0xae;
    map.set(String.fromCharCode(printable ? byte : next++), byte);
  }
  return map;
}

/** The text of the vocabulary entry `piece`; see the head of this file for bytes that are no text. */
export function pieceText(piece: string, spelling: TokenSpelling, byteFallback: boolean): string {
  const fallback = byteFallback ? /^<0x([0-9A-Fa-f]{2})>$/.exec(piece) : null;
  if (fallback) return bytesText(Uint8Array.of(parseInt(fallback[1], 16)));
  if (spelling === "metaspace") return escapeLiteral(piece.replaceAll("\u2581", " "));
  if (spelling === "plain") return escapeLiteral(piece);
  return bytesText(pieceBytes(piece));
}

/** The bytes of an entry of a byte-level vocabulary. Some hold entries outside the alphabet: these are text as it stands. */
export function pieceBytes(piece: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (const character of piece) {
    const byte = BYTE_OF_CHARACTER.get(character);
    if (byte === undefined) return new TextEncoder().encode(piece);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** UTF-8 bytes as text, `\xHH` for each byte that belongs to no whole character. */
export function bytesText(bytes: Uint8Array): string {
  const whole = decoded(bytes); // most tokens are: a vocabulary has many
  if (whole !== null) return escapeLiteral(whole);
  let text = "";
  let literal = "";
  for (let i = 0; i < bytes.length;) {
    const length = characterLength(bytes[i]);
    const character = i + length > bytes.length ? null : decoded(bytes.subarray(i, i + length));
    if (character === null) {
      text += escapeLiteral(literal) + "\\x" + hex(bytes[i]);
      literal = "";
      i++;
    } else {
      literal += character;
      i += length;
    }
  }
  return text + escapeLiteral(literal);
}

/** The bytes that {@link bytesText} (or {@link pieceText}) wrote as `text`. */
export function textBytes(text: string): Uint8Array {
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  for (const part of text.split(/(\\x[0-9A-F]{2})/)) {
    if (/^\\x[0-9A-F]{2}$/.test(part)) bytes.push(parseInt(part.slice(2), 16));
    else for (const byte of encoder.encode(part)) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** U+FEFF is a character like any other here. */
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The characters that these bytes are, or null where some are no whole character. */
function decoded(bytes: Uint8Array): string | null {
  try {
    return DECODER.decode(bytes);
  } catch {
    return null;
  }
}

/** Bytes of a character that begins with this one. */
function characterLength(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

function escapeLiteral(text: string): string {
  return text.replace(/\\(?=x[0-9A-F]{2})/g, "\\x5C");
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}
