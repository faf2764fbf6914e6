/** Where models come from: a folder in Hugging Face's or PEFT's layout, or one of those that ship with the program. */

import { createHash } from "node:crypto";
import { ModelError } from "../engine/errors.ts";
import type { ByteSource } from "../engine/weights/byte_source.ts";
import { isPlainFileName } from "../engine/weights/checkpoint.ts";
import { quote } from "../engine/weights/names.ts";
import { embeddedFolder } from "./embedded.ts";
import { FileSource } from "./file_source.ts";

/** The largest text file that is read whole; tokenizers have 20 MB. */
const MAX_TEXT_BYTES = 256 << 20;

/** Bytes hashed at a time. */
const HASH_PIECE = 1 << 20;

/** The files of a model or an adapter. */
export interface ModelSource {
  /** What the user called it: `embedded:base`, or a path. */
  readonly ref: string;
  /** Short name, for messages and tables. */
  readonly name: string;
  /** An adapter has an `adapter_config.json`. */
  readonly kind: "model" | "adapter";
  /** Whether there is a file of that name. */
  has(file: string): Promise<boolean>;
  /** A text file. Throws a {@link ModelError} if it is missing, too large or not UTF-8. */
  readText(file: string): Promise<string>;
  /** A parsed JSON file. Throws a {@link ModelError} as `readText`, or if it is not JSON. */
  readJson(file: string): Promise<unknown>;
  /** Opens a file for ranged reads until {@link close}. Throws a {@link ModelError} if it is missing. */
  open(file: string): Promise<ByteSource>;
  /** SHA-256 in hex of every file that was opened or read so far, by name in order. */
  sha256(): Promise<Record<string, string>>;
  /** Closes every file that {@link open} opened. */
  close(): void;
}

/**
 * Finds a model or an adapter.
 *
 * @param ref `embedded:NAME`, or the path of a folder
 * @throws {ModelError} if there is no such embedded model or folder, or the folder holds neither a model nor an adapter
 */
export async function resolveSource(ref: string): Promise<ModelSource> {
  const embedded = ref.startsWith("embedded:");
  const folder = embedded ? await embeddedFolder(ref.slice("embedded:".length)) : ref;
  const stat = await Deno.stat(folder).catch((error: unknown) => {
    throw cannotLoad(
      ref,
      error instanceof Deno.errors.NotFound || folder === ""
        ? "there is no such folder"
        : `its folder cannot be read (${(error as Error).message})`,
    );
  });
  if (!stat.isDirectory) throw cannotLoad(ref, "it is a file; give the folder that holds it");
  const name = embedded ? ref.slice("embedded:".length) : await folderName(folder);
  const source = (kind: ModelSource["kind"]) => new FolderSource(ref, name, kind, folder);
  if (await source("adapter").has("adapter_config.json")) return source("adapter");
  if (await source("model").has("config.json")) return source("model");
  throw cannotLoad(ref, "the folder has neither config.json nor adapter_config.json");
}

/** The last part of the path as given; of the real one for paths such as `.`. */
async function folderName(folder: string): Promise<string> {
  const last = (path: string) => path.split(/[/\\]/).filter((part) => part !== "").at(-1) ?? "";
  const name = last(folder);
  return /^\.*$/.test(name) ? last(await Deno.realPath(folder)) || folder : name;
}

function cannotLoad(ref: string, why: string): ModelError {
  return new ModelError(`Cannot load model ${quote(ref)}: ${why}`);
}

/** The files of one folder. Names with separators are refused; links are followed, as the Hub's cache is made of them. */
class FolderSource implements ModelSource {
  readonly #opened: FileSource[] = [];
  readonly #hashes = new Map<string, Promise<string> | null>();

  constructor(
    readonly ref: string,
    readonly name: string,
    readonly kind: ModelSource["kind"],
    private readonly folder: string,
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

  async open(file: string): Promise<ByteSource> {
    const source = await this.openFile(file);
    this.#opened.push(source);
    return source;
  }

  async sha256(): Promise<Record<string, string>> {
    const hashes: Record<string, string> = {};
    for (const file of [...this.#hashes.keys()].sort()) {
      hashes[file] = await this.hashOf(file);
    }
    return hashes;
  }

  close(): void {
    for (const file of this.#opened.splice(0)) file.close();
  }

  private async hashOf(file: string): Promise<string> {
    const hash = this.#hashes.get(file) ?? sha256OfFile(this.pathOf(file));
    this.#hashes.set(file, hash);
    return await hash.catch((error: unknown) => {
      throw cannotLoad(this.ref, `${file} cannot be read (${(error as Error).message})`);
    });
  }

  private async openFile(file: string): Promise<FileSource> {
    const path = this.pathOf(file);
    if (!await this.has(file)) throw cannotLoad(this.ref, `the folder has no ${file}`);
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
