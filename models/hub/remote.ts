/** A file of the Hub that is read in ranges where it is. */

import { HubError } from "../../engine/errors.ts";
import { type ByteSource, checkRange } from "../../engine/weights/byte_source.ts";
import type { Answer, HubHttp } from "./http.ts";
import { cannot, type Purpose } from "./refusal.ts";
import { ATTEMPTS, HubUnavailable, withRetries } from "./retry.ts";

/** A file that is read where it is; whoever opened it closes it. */
export interface HubByteSource extends ByteSource {
  close(): void;
}

/**
 * Reads a file in ranges over HTTP. Parts cannot be verified: only whole files have a hash.
 *
 * @param url the file on the Hub; where it redirects to is remembered while that holds
 * @param size as the listing has it
 */
export function remoteSource(
  http: HubHttp,
  url: string,
  purpose: Purpose,
  name: string,
  size: number,
): HubByteSource {
  let location: string | undefined;
  const ask = async (range: string): Promise<Answer> => {
    if (location !== undefined) {
      try {
        return await http.ask(location, purpose, { range });
      } catch (error) {
        // Signed addresses expire; the Hub gives another.
        if (!(error instanceof HubError) || error instanceof HubUnavailable) throw error;
        location = undefined;
      }
    }
    const answer = await http.ask(url, purpose, { range });
    location = answer.url;
    return answer;
  };
  const read = async (offset: number, length: number) => {
    const end = offset + length;
    const answer = await ask(`bytes=${offset}-${end - 1}`);
    const { status, headers } = answer.response;
    if (status !== 206 || headers.get("content-range") !== `bytes ${offset}-${end - 1}/${size}`) {
      answer.cancel();
      throw new HubError(cannot(
        purpose,
        `the server does not send parts of files as they were asked for (bytes ${offset} to ${end})`,
      ));
    }
    return await collect(answer, length, purpose);
  };
  return {
    name,
    size,
    read: async (offset, length) => {
      checkRange(name, size, offset, length);
      if (length === 0) return new Uint8Array(0);
      return await withRetries(() => read(offset, length), {
        attempts: ATTEMPTS,
        sleep: http.sleep,
        signal: http.signal,
      });
    },
    close() {},
  };
}

async function collect(
  answer: Answer,
  length: number,
  purpose: Purpose,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = allocate(length, purpose);
  let filled = 0;
  for await (const piece of answer.pieces()) {
    if (filled + piece.length > length) break;
    bytes.set(piece, filled);
    filled += piece.length;
  }
  if (filled === length) return bytes;
  answer.cancel();
  throw new HubUnavailable(
    cannot(purpose, `the connection was cut after ${filled} of ${length} bytes of a part`),
  );
}

function allocate(length: number, purpose: Purpose): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch {
    throw new HubError(cannot(purpose, `there is not enough memory for ${length} bytes of it`));
  }
}
