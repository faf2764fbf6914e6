/** A folder that holds a model or an adapter. */

import { createHash } from "node:crypto";
import { ModelError } from "../engine/errors.ts";
import { isPlainFileName } from "../engine/weights/checkpoint.ts";
import { quote } from "../engine/weights/names.ts";
import { FileSource } from "./file_source.ts";
import type { ModelSource } from "./source.ts";

/** The largest text file that is read whole; tokenizers have 20 MB. */
const MAX_TEXT_BYTES = 256 << 20;

/** Bytes hashed at a time. */
const HASH_PIECE = 1 << 20;

/** `Cannot load model "…": why`. */
export function cannotLoad(ref: string, why: string): ModelError {
  return new ModelError(`Cannot load model ${quote(ref)}: ${why}`);
}

/** The files of one folder. Names with separators are refused; links are followed, as the Hub's cache is made of them. */
export class FolderSource implements ModelSource {
  readonly #hashes = new Map<string, string | Promise<string> | null>();

  constructor(
    readonly ref: string,
    readonly name: string,
    readonly kind: ModelSource["kind"],
    private readonly folder: string,
    /** The SHA-256 of a file, where it is known without reading it. */
    private readonly knownSha256: (file: string) => string | undefined = () => undefined,
  ) {}

  async has(file: string): Promise<boolean> {
    const path = this.pathOf(file);
    return await Deno.stat(path).then((stat) => stat.isFile, () => false);
  }

  async readText(file: string): Promise<string> {
    const source = await this.openFile(file);
    try {
      if (source.size > MAX_TEXT_BYTES) {
        throw cannotLoad(this.ref, `${file} has ${source.size} bytes, over ${MAX_TEXT_BYTES}`);
      }
      const bytes = await source.read(0, source.size);
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw cannotLoad(this.ref, `${file} is not UTF-8 text`);
    } finally {
      source.close();
    }
  }

  async readJson(file: string): Promise<unknown> {
    const text = await this.readText(file);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw cannotLoad(this.ref, `${file} is not valid JSON: ${(error as Error).message}`);
    }
  }

  open(file: string): Promise<FileSource> {
    return this.openFile(file);
  }

  async sha256(): Promise<Record<string, string>> {
    const hashes: Record<string, string> = {};
    for (const file of [...this.#hashes.keys()].sort()) {
      hashes[file] = await this.hashOf(file);
    }
    return hashes;
  }

  lacking(files: string): ModelError {
    return cannotLoad(this.ref, `the folder has no ${files}`);
  }

  private async hashOf(file: string): Promise<string> {
    const hash = this.#hashes.get(file) ?? this.knownSha256(file) ??
      sha256OfFile(this.pathOf(file));
    this.#hashes.set(file, hash);
    try {
      return await hash;
    } catch (error) {
      throw cannotLoad(this.ref, `${file} cannot be read (${(error as Error).message})`);
    }
  }

  private async openFile(file: string): Promise<FileSource> {
    const path = this.pathOf(file);
    if (!await this.has(file)) throw this.lacking(file);
    try {
      const source = await FileSource.open(path, file);
      if (!this.#hashes.has(file)) this.#hashes.set(file, null);
      return source;
    } catch (error) {
      throw cannotLoad(this.ref, `${file} cannot be opened (${(error as Error).message})`);
    }
  }

  private pathOf(file: string): string {
    if (!isPlainFileName(file)) {
      throw cannotLoad(this.ref, `${quote(file)} is not the plain name of a file in its folder`);
    }
    return `${this.folder}/${file}`;
  }
}

/** Streams a file through SHA-256; Web Crypto would need it whole. */
async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const piece = new Uint8Array(HASH_PIECE);
  for (let count = await file.read(piece); count !== null; count = await file.read(piece)) {
    hash.update(piece.subarray(0, count));
  }
  return hash.digest("hex");
}
