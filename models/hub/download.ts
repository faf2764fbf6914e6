/** Fetches one blob into the cache: what an interrupted download left is kept and completed, and nothing that is not what was announced gets in. */

import { createHash, type Hash } from "node:crypto";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { HubError } from "../../engine/errors.ts";
import { sizeOf, type TreeEntry } from "./cache.ts";
import type { Answer, HubHttp } from "./http.ts";
import { cannot, type Purpose } from "./refusal.ts";
import { ATTEMPTS, HubUnavailable, withRetries } from "./retry.ts";

/** No file of a model or a dataset comes near: the Hub itself takes none over 500 GB. */
const MAX_FILE_BYTES = 2 ** 40;

/** Read at a time when what is there already is hashed. */
const HASH_PIECE = 1 << 20;

/** A connection that is cut again and again still gets somewhere if each brings this much. */
const PROGRESS_BYTES = 1 << 20;

/** What {@link downloadBlob} fetches, and where to. */
export interface Download {
  url: string;
  /** A file's purpose, for messages. */
  purpose: Purpose;
  entry: TreeEntry;
  /** Where the whole file goes. */
  blob: string;
  /** Where it grows; may be there already. */
  incomplete: string;
  /** Is told how many bytes are there, from those of an earlier attempt to all. */
  onProgress?: (done: number) => void;
  /** Free bytes on the disk of a folder, or undefined where that cannot be told; a test brings its own. */
  freeBytes?: (folder: string) => Promise<number | undefined>;
}

/** A damaged file: worth another attempt only if it was begun by an earlier one. */
class WrongContent extends HubError {}

/**
 * Fetches a file, verifies its size and hash, and moves it into place. Whatever interrupts it, the part that came stays in
 * `incomplete` for the next time, unless it is wrong.
 *
 * @throws {HubUnavailable} if the network fails again and again
 * @throws {HubError} if the server refuses, what it sends is not what its listing says, or the disk is full
 */
export async function downloadBlob(http: HubHttp, download: Download): Promise<void> {
  await Deno.mkdir(dirname(download.incomplete), { recursive: true });
  const begun = await sizeOf(download.incomplete) ?? 0;
  await checkSpace(download, begun);
  try {
    await complete(http, download);
  } catch (error) {
    if (!(error instanceof WrongContent) || begun === 0) throw error;
    await complete(http, download);
  }
  await Deno.rename(download.incomplete, download.blob);
}

async function checkSpace(download: Download, begun: number): Promise<void> {
  const { entry: { size }, purpose, blob, freeBytes = freeBytesOf } = download;
  if (size > MAX_FILE_BYTES) {
    throw new HubError(
      cannot(purpose, `the Hub says that it has ${size} bytes, over ${MAX_FILE_BYTES}`),
    );
  }
  const free = await freeBytes(dirname(blob));
  if (free === undefined || size - begun <= free) return;
  throw new HubError(cannot(
    purpose,
    `it needs ${gigabytes(size - begun)}, and the disk of "${dirname(blob)}" has ${
      gigabytes(free)
    } ` +
      "(free some, or set HF_HUB_CACHE to a folder on another disk)",
  ));
}

async function freeBytesOf(folder: string): Promise<number | undefined> {
  return await statfs(folder).then(({ bavail, bsize }) => bavail * bsize, () => undefined);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(bytes < 1e9 ? 3 : 1)} GB`;
}

/** Brings `incomplete` to the announced size, and checks the hash of the whole. */
async function complete(http: HubHttp, download: Download): Promise<void> {
  const { entry, purpose, incomplete } = download;
  const part = await Part.open(download);
  try {
    await withRetries(async (progressed) => {
      if (part.size < entry.size) await receive(http, download, part, progressed);
    }, { attempts: ATTEMPTS, sleep: http.sleep, signal: http.signal });
    await part.sync();
  } finally {
    part.close();
  }
  const expected = entry.sha256 ?? entry.gitOid;
  const found = part.digest();
  if (found === expected) return;
  await Deno.remove(incomplete);
  const kind = entry.sha256 === undefined ? "Git hash" : "SHA-256";
  throw new WrongContent(
    cannot(purpose, `its ${kind} is ${found}, not ${expected} as the Hub lists it; try again`),
  );
}

/** One request for what is missing, and its answer into the file. */
async function receive(
  http: HubHttp,
  { url, purpose, entry }: Download,
  part: Part,
  progressed: () => void,
): Promise<void> {
  const range: Record<string, string> = part.size > 0 ? { range: `bytes=${part.size}-` } : {};
  const answer = await http.ask(url, purpose, range, 416);
  // A server may send all although it was asked for the rest.
  const continues = answer.response.status === 206 && startOf(answer) === part.size;
  if (!continues && part.size > 0) await part.restart();
  if (!continues && answer.response.status !== 200) {
    answer.cancel();
    throw new HubUnavailable(cannot(purpose, "the server sends another part than was asked for"));
  }
  for await (const piece of answer.pieces()) {
    if (part.size + piece.length > entry.size) {
      answer.cancel();
      await part.restart();
      throw new WrongContent(
        cannot(purpose, `the server sends more than the ${entry.size} bytes that it announced`),
      );
    }
    await part.append(piece);
    if (part.isFurther()) progressed();
  }
  if (part.size < entry.size) {
    throw new HubUnavailable(
      cannot(purpose, `the connection was cut after ${part.size} of ${entry.size} bytes`),
    );
  }
}

function startOf({ response }: Answer): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? NaN);
}

/** The file that grows, with the hash of all that is in it. */
class Part {
  size = 0;
  #hash: Hash;
  /** The size at which there was progress last; a server that begins anew each time makes none. */
  #furthest = 0;

  private constructor(private readonly file: Deno.FsFile, private readonly download: Download) {
    this.#hash = this.newHash();
  }

  static async open(download: Download): Promise<Part> {
    const { incomplete } = download;
    const file = await Deno.open(incomplete, { read: true, write: true, create: true });
    const part = new Part(file, download);
    try {
      await part.readOn((await file.stat()).size);
      part.#furthest = part.size;
      download.onProgress?.(part.size);
      return part;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < bytes.length;) {
        written += await this.file.write(bytes.subarray(written));
      }
    } catch (error) {
      throw this.full(error);
    }
    this.#hash.update(bytes);
    this.size += bytes.length;
    this.download.onProgress?.(this.size);
  }

  /** Whether {@link PROGRESS_BYTES} more are there than ever before. */
  isFurther(): boolean {
    if (this.size < this.#furthest + PROGRESS_BYTES) return false;
    this.#furthest = this.size;
    return true;
  }

  /** Drops all that is there. */
  async restart(): Promise<void> {
    await this.file.truncate();
    await this.file.seek(0, Deno.SeekMode.Start);
    this.size = 0;
    this.#hash = this.newHash();
    this.download.onProgress?.(0);
  }

  async sync(): Promise<void> {
    await this.file.sync().catch((error: unknown) => {
      throw this.full(error);
    });
  }

  digest(): string {
    return this.#hash.digest("hex");
  }

  close(): void {
    this.file.close();
  }

  /** Git hashes a file with its length before it. */
  private newHash(): Hash {
    const { entry } = this.download;
    if (entry.sha256 !== undefined) return createHash("sha256");
    return createHash("sha1").update(`blob ${entry.size}\0`);
  }

  /** Hashes the bytes that an earlier attempt left. */
  private async readOn(size: number): Promise<void> {
    const piece = new Uint8Array(HASH_PIECE);
    while (this.size < size) {
      const count = await this.file.read(piece.subarray(0, size - this.size));
      if (count === null) return;
      this.#hash.update(piece.subarray(0, count));
      this.size += count;
    }
  }

  private full(error: unknown): unknown {
    if ((error as { code?: string }).code !== "ENOSPC") return error;
    const { purpose, entry, incomplete } = this.download;
    return new HubError(
      cannot(
        purpose,
        `the disk of "${
          dirname(incomplete)
        }" is full (${this.size} of ${entry.size} bytes are there and are kept: ` +
          "free some space and run the command again, or set HF_HUB_CACHE to a folder on another disk)",
      ),
      { cause: error },
    );
  }
}
