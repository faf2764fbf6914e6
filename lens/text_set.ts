/**
 * A dataset of texts, wherever it is: a file, or a dataset of the Hub with any number of files. Files that are read whole are one
 * piece each, Parquet files one a row group, so of a large dataset only some pieces are read.
 */

import { TextError } from "../engine/errors.ts";
import type { ByteSource } from "../engine/weights/byte_source.ts";
import { FileSource } from "../models/file_source.ts";
import type { Hub } from "../models/hub/hub.ts";
import { formatRepo, HUB_PREFIX, parseHubRef } from "../models/hub/ref.ts";
import { chooseDatasetFiles } from "./dataset_files.ts";
import type { ChoiceOptions } from "./documents.ts";
import { orderOf, SHUFFLE_STREAMS } from "./shuffle.ts";
import { sha256OfFile, unreadable } from "./text_lines.ts";
import type { ColumnChoice, Text } from "./text_record.ts";
import { knownFormatOf, loadTexts } from "./texts.ts";

/** A file of a dataset. */
interface SetFile {
  /** For messages and records: its path, as given or within its repository. */
  name: string;
  /** Its path on this machine, where it is fetched to if need be. */
  fetch(): Promise<string>;
  /** Opens it for reads in ranges. */
  open(): Promise<ByteSource & { close(): void }>;
  /** SHA-256 in hex; undefined where it is not known without reading all of it. */
  sha256(): Promise<string | undefined>;
}

/** What of a file was read. */
export interface FileRead {
  file: string;
  /** Of the whole file, in hex; null where only parts of it came, and nobody says. */
  sha256: string | null;
  /** Of a Parquet file, in the order in which they were read. */
  row_groups?: number[];
}

/** What of a dataset was read, for a manifest: it is the same again only if all of this is. */
export interface TextsRead {
  /** Of a dataset of the Hub. */
  dataset?: string;
  commit?: string;
  files: FileRead[];
}

/** A pool has so many texts for each document that is wanted, if there are as many: some will be too short. */
const TEXTS_PER_DOCUMENT = 2;

/** Texts that come in pools. */
export class TextSet {
  #read: FileRead[] = [];
  #first: readonly Text[] | undefined;

  private constructor(
    /** As the user named it. */
    readonly ref: string,
    private readonly files: readonly SetFile[],
    private readonly choice: ColumnChoice,
    private readonly origin: { dataset?: string; commit?: string },
  ) {}

  /**
   * Finds a dataset; nothing of a file is read yet.
   *
   * @param ref the path of a file, or `hf:datasets/OWNER/NAME[@REVISION][/PATH]` (see {@link chooseDatasetFiles})
   * @param hub opens the Hub; asked only where one is needed
   * @throws {TextError} if the format is not known, or the dataset has no file of texts
   */
  static async open(ref: string, choice: ColumnChoice, hub: () => Promise<Hub>): Promise<TextSet> {
    if (!ref.startsWith(HUB_PREFIX)) {
      knownFormatOf(ref);
      return new TextSet(ref, [localFile(ref)], choice, {});
    }
    const { repo, path } = parseHubRef(ref);
    if (repo.type !== "dataset") {
      throw new TextError(
        `Cannot read texts from "${ref}": it is a model; a dataset is hf:datasets/OWNER/NAME[@REVISION][/PATH]`,
      );
    }
    const dataset = formatRepo(repo);
    const from = await hub();
    const commit = await from.commit(repo);
    const chosen = chooseDatasetFiles(await from.files(repo), path, `"${dataset}"`);
    const files = chosen.map(({ path: file, sha256 }): SetFile => ({
      name: file,
      fetch: () => from.fetchFile(repo, file),
      open: () => from.openRemote(repo, file),
      sha256: () => Promise.resolve(sha256),
    }));
    return new TextSet(ref, files, choice, { dataset, commit });
  }

  /** The first pool that was read: texts to compare others with. Empty before. */
  get sample(): readonly Text[] {
    return this.#first ?? [];
  }

  /**
   * Texts in pools of at least twice as many as `documents`, the last one of what is left. With a seed, the files come in random
   * order, and each file's row groups too, one file after the other; the texts of a pool are in the order in which they were read.
   *
   * @throws {TextError} if a file is missing or malformed, or there is no text at all
   */
  async *pools({ documents, seed }: ChoiceOptions): AsyncGenerator<readonly Text[]> {
    this.#read = [];
    let pool: Text[] = [];
    for await (const piece of this.pieces(seed)) {
      for (const text of piece) pool.push(text);
      if (pool.length < TEXTS_PER_DOCUMENT * documents) continue;
      this.#first ??= pool;
      yield pool;
      pool = [];
    }
    if (pool.length === 0 && this.#first) return;
    if (pool.length === 0) throw new TextError(`Cannot read texts: "${this.ref}" is empty`);
    this.#first ??= pool;
    yield pool;
  }

  /** What {@link pools} has read so far. */
  get read(): TextsRead {
    return { ...this.origin, files: this.#read };
  }

  private async *pieces(seed: number | null): AsyncGenerator<Text[]> {
    for (const number of orderOf(this.files.length, seed, SHUFFLE_STREAMS.files)) {
      const file = this.files[number];
      if (knownFormatOf(file.name).format === "parquet") {
        yield* this.rowGroups(file, seed, SHUFFLE_STREAMS.rowGroups + number);
      } else {
        const { texts, sha256 } = await loadTexts(await file.fetch(), {
          ...this.choice,
          name: file.name,
          // A dataset may have an empty part.
          allowEmpty: this.files.length > 1,
        });
        this.#read.push({ file: file.name, sha256 });
        yield texts;
      }
    }
  }

  private async *rowGroups(
    file: SetFile,
    seed: number | null,
    stream: number,
  ): AsyncGenerator<Text[]> {
    // The decoders are loaded only by those who use them.
    const { openParquet, findTextColumn, readRowGroup } = await import("./parquet_texts.ts");
    const source = await file.open();
    try {
      const parquet = await openParquet(source);
      const column = findTextColumn(parquet, this.choice);
      const sha256 = await file.sha256() ?? null;
      const row_groups: number[] = [];
      this.#read.push({ file: file.name, sha256, row_groups });
      for (const rowGroup of orderOf(parquet.rowGroups.length, seed, stream)) {
        const texts = await readRowGroup(parquet, rowGroup, column);
        row_groups.push(rowGroup);
        yield texts;
      }
    } finally {
      source.close();
    }
  }
}

function localFile(path: string): SetFile {
  return {
    name: path,
    fetch: () => Promise.resolve(path),
    async open() {
      const stat = await Deno.stat(path).catch((cause: unknown) => {
        throw unreadable(path, cause);
      });
      if (!stat.isFile) throw new TextError(`Cannot read texts: "${path}" is no file`);
      return await FileSource.open(path, path).catch((cause: unknown) => {
        throw unreadable(path, cause);
      });
    },
    sha256: () => sha256OfFile(path, path),
  };
}
