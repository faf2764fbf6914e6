/** Who may ask: the API key, and pages of other origins. */

import { ApiError } from "./api_error.ts";

/** Whether a host name is this machine's own, so that nobody else can reach it. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" ||
    /^127(\.\d{1,3}){3}$/.test(host);
}

/** Checks keys in a time that does not depend on how much of one is right. */
export class KeyCheck {
  readonly #digest: Promise<Uint8Array> | undefined;

  /** @param key undefined lets everybody in */
  constructor(key: string | undefined) {
    if (key !== undefined) this.#digest = sha256(key);
  }

  /** @throws {ApiError} 401 where there is a key and the request does not bring it */
  async check(headers: Headers): Promise<void> {
    if (!this.#digest) return;
    const [, given = ""] = /^Bearer (.*)$/i.exec(headers.get("authorization") ?? "") ?? [];
    const [expected, found] = [await this.#digest, await sha256(given)];
    let different = 0;
    for (let i = 0; i < expected.length; i++) different |= expected[i] ^ found[i];
    if (different === 0) return;
    throw new ApiError(401, "The API key is missing or wrong: send Authorization: Bearer KEY", {
      code: "invalid_api_key",
      headers: { "www-authenticate": "Bearer" },
    });
  }
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** What pages of other origins are told. */
export const CORS_HEADERS: Readonly<Record<string, string>> = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, POST, OPTIONS",
  "access-control-allow-headers": "*",
  "access-control-max-age": "86400",
};

/**
 * Browsers send some requests to any server whatever page asks, and only hide the answer: without `--cors` they are not even
 * run.
 *
 * @throws {ApiError} 403 for a request from a page
 */
export function checkOrigin(headers: Headers, cors: boolean): void {
  if (cors || !headers.has("origin")) return;
  throw new ApiError(403, "Pages in browsers may not use this server: start it with --cors", {
    code: "origin_not_allowed",
  });
}
