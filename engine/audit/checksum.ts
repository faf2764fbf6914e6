/** Checksums of results. */

/** SHA-256 in hex of arrays end to end, or its first digits. */
export async function sha256(
  parts: readonly (Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>)[],
  digits = 64,
): Promise<string> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    at += part.byteLength;
  }
  const digest = await crypto.subtle.digest("SHA-256", whole);
  return new Uint8Array(digest).toHex().slice(0, digits);
}
