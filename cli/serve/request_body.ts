/** Bodies of requests: bounded, and checked before anything is done with them. */

import type { z } from "zod";
import { parseStrictJson } from "../../engine/weights/strict_json.ts";
import { ApiError } from "./api_error.ts";

/** The largest body: some vectors of a large model, written as numbers. */
export const MAX_BODY_BYTES = 16 << 20;

/** JSON schemas of tools nest a good deal. */
const MAX_DEPTH = 64;

/**
 * The JSON of a request.
 *
 * @throws {ApiError} 413 if it is too large, 400 if it is not JSON in UTF-8, or has a key twice
 */
export async function readJsonBody(request: Request): Promise<unknown> {
  const bytes = await readBytes(request);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError(400, "Cannot read the body: it is not UTF-8");
  }
  try {
    return parseStrictJson(text, MAX_DEPTH);
  } catch (error) {
    const reason = (error as Error).message.slice(0, 200);
    throw new ApiError(400, `Cannot read the body: it is not valid JSON (${reason})`);
  }
}

async function readBytes(request: Request): Promise<Uint8Array> {
  const tooLarge = () =>
    new ApiError(413, `Cannot take a body of over ${MAX_BODY_BYTES} bytes`, {
      code: "body_too_large",
    });
  if (Number(request.headers.get("content-length")) > MAX_BODY_BYTES) throw tooLarge();
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const piece of request.body ?? []) {
    length += piece.length;
    if (length > MAX_BODY_BYTES) throw tooLarge();
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/**
 * The body as the schema types it; keys that the schema does not know are left out.
 *
 * @throws {ApiError} 400 that names the field
 */
export function checkBody<T>(schema: z.ZodType<T>, body: unknown): T {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new ApiError(400, "Cannot read the body: it is not a JSON object");
  }
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  const param = path.map(String).join(".").slice(0, 120);
  throw new ApiError(400, `Cannot use ${param}: ${message}`, { param });
}
