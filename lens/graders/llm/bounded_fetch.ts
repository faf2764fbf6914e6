/** `fetch` for a server that is not trusted. */

/** An answer of an LLM, with all that surrounds it, is far smaller. */
export const MAX_BODY_BYTES = 4 << 20;

/**
 * As `fetch`, but it follows no redirect (a key would go along), and the whole body is there when it resolves, so that time limits
 * hold for it too. Rejects if the body is larger than {@link MAX_BODY_BYTES}.
 */
export async function boundedFetch(
  input: string | URL | Request,
  init?: RequestInit,
): Promise<Response> {
  const response = await fetch(input, { ...init, redirect: "manual" });
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const piece of response.body ?? []) {
    length += piece.length;
    // Leaving the loop ends the connection.
    if (length > MAX_BODY_BYTES) throw new RangeError(`the answer is over ${MAX_BODY_BYTES} bytes`);
    pieces.push(piece);
  }
  const { status, headers } = response;
  const body = length === 0 ? null : new Blob(pieces);
  return new Response(body, { status, headers: withoutCoding(headers) });
}

/** The body is decoded already. */
function withoutCoding(from: Headers): Headers {
  const headers = new Headers(from);
  headers.delete("content-encoding");
  headers.delete("content-length");
  return headers;
}
