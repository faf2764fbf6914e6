/**
 * A Parquet file that is read column by column and row group by row group, so that of a large file only what is needed comes
 * over the network. Only texts are read: alone, in structs, or in lists of structs. Sizes are checked before anything is read or
 * allocated; the decoding is that of `hyparquet`.
 */

import {
  type ColumnMetaData,
  type DecodedArray,
  type FileMetaData,
  type ParquetParsers,
  parquetSchema,
  type SchemaTree,
} from "hyparquet";
import { assembleNested } from "hyparquet/src/assemble.js";
import { DEFAULT_PARSERS } from "hyparquet/src/convert.js";
import { getTreePath } from "hyparquet/src/schema.js";
import { PalimpsestError, TextError } from "../../engine/errors.ts";
import type { ByteSource } from "../../engine/weights/byte_source.ts";
import { checkedCodec } from "./codecs.ts";
import { readFooter } from "./footer.ts";
import { type ColumnDecoder, MAX_CHUNK_BYTES, readPages } from "./pages.ts";

/** A node of the schema: a column, or a field of one. */
export type ParquetNode = SchemaTree;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const PARSERS: ParquetParsers = {
  ...DEFAULT_PARSERS,
  stringFromBytes: (bytes: Uint8Array) => utf8.decode(bytes),
  jsonFromBytes: (bytes: Uint8Array) => JSON.parse(utf8.decode(bytes)),
};

/** An open file; whoever opened its source closes it. */
export class ParquetFile {
  private constructor(
    private readonly source: ByteSource,
    private readonly metadata: FileMetaData,
    /** The root of the schema; its children are the columns. */
    readonly schema: ParquetNode,
    /** How many rows each row group has. */
    readonly rowGroups: readonly number[],
  ) {}

  /**
   * Reads the footer of a file.
   *
   * @throws {TextError} if it is not Parquet, or damaged
   */
  static async open(source: ByteSource): Promise<ParquetFile> {
    const metadata = await readFooter(source);
    return guarded(source.name, () => {
      const rowGroups = metadata.row_groups.map(({ num_rows }) => Number(num_rows));
      if (!rowGroups.every((rows) => Number.isSafeInteger(rows) && rows >= 0)) {
        throw new Error("a row group with a number of rows that is none");
      }
      return new ParquetFile(source, metadata, parquetSchema(metadata), rowGroups);
    });
  }

  /** For messages. */
  get name(): string {
    return this.source.name;
  }

  /**
   * The values of a column in one row group, a row each: a string, null, an object, or an array of objects.
   *
   * @param column a child of the schema, without the fields that are not wanted
   * @throws {TextError} if the file is damaged, or holds what cannot be read
   */
  async read(rowGroup: number, column: ParquetNode): Promise<unknown[]> {
    const parts = new Map<string, DecodedArray>();
    for (const leaf of leavesOf(column)) {
      parts.set(leaf.path.join("."), await this.readLeaf(rowGroup, leaf));
    }
    return guarded(this.name, () => {
      if (column.children.length > 0) assembleNested(parts, column, PARSERS);
      const rows = parts.get(column.path.join("."));
      if (!Array.isArray(rows)) throw new Error("a column without values");
      return rows;
    });
  }

  private async readLeaf(rowGroup: number, leaf: ParquetNode): Promise<unknown[]> {
    const where = `column ${JSON.stringify(leaf.path.join("."))} of ${JSON.stringify(this.name)}`;
    if (!isText(leaf)) {
      const { type, logical_type, converted_type } = leaf.element;
      const kind = logical_type?.type ?? converted_type ?? type ?? "nothing";
      throw new TextError(`Cannot read texts: ${where} holds ${kind} values, no text`);
    }
    const chunk = guarded(this.name, () => this.chunkOf(rowGroup, leaf));
    const codec = checkedCodec(chunk.codec, where) as ColumnDecoder["codec"];
    const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
    const size = Number(chunk.total_compressed_size);
    const sane = Number.isSafeInteger(start) && Number.isSafeInteger(size) && start >= 0 &&
      size >= 0 && start + size <= this.source.size;
    if (!sane) {
      throw damaged(
        this.name,
        `${where} lies at ${start} to ${start + size} of ${this.source.size} bytes`,
      );
    }
    if (size > MAX_CHUNK_BYTES) {
      throw new TextError(
        `Cannot read texts: ${where} has ${size} bytes in row group ${rowGroup}, over ${MAX_CHUNK_BYTES}; ` +
          "write the file with smaller row groups",
      );
    }
    const bytes = await this.source.read(start, size);
    return guarded(this.name, () => {
      const schemaPath = getTreePath(this.schema, leaf.path);
      const values = readPages(bytes, {
        pathInSchema: leaf.path,
        type: "BYTE_ARRAY",
        element: leaf.element,
        schemaPath,
        codec,
        parsers: PARSERS,
      });
      const rows = this.rowGroups[rowGroup];
      if (values.length !== rows) {
        throw new Error(`${where} has ${values.length} rows in row group ${rowGroup}, not ${rows}`);
      }
      return values;
    });
  }

  private chunkOf(rowGroup: number, leaf: ParquetNode): ColumnMetaData {
    const path = JSON.stringify(leaf.path);
    const chunk = this.metadata.row_groups[rowGroup].columns.find(({ meta_data }) =>
      JSON.stringify(meta_data?.path_in_schema) === path
    );
    if (!chunk?.meta_data) throw new Error(`row group ${rowGroup} lacks the column ${path}`);
    if (chunk.file_path || chunk.crypto_metadata) {
      throw new Error(`the column ${path} is in another file, or encrypted`);
    }
    return chunk.meta_data;
  }
}

/** Whether a field holds texts: marked as such, as JSON, or not at all, as old writers do. */
function isText({ element }: ParquetNode): boolean {
  return element.type === "BYTE_ARRAY" &&
    [undefined, "UTF8", "JSON"].includes(element.converted_type) &&
    [undefined, "STRING", "JSON"].includes(element.logical_type?.type);
}

function leavesOf(node: ParquetNode): ParquetNode[] {
  return node.children.length === 0 ? [node] : node.children.flatMap(leavesOf);
}

/** Runs what decodes bytes that nobody vouches for: whatever it throws is the file's fault. */
function guarded<T>(name: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof PalimpsestError) throw cause;
    throw damaged(name, (cause as Error).message, cause);
  }
}

function damaged(name: string, why: string, cause?: unknown): TextError {
  return new TextError(
    `Cannot read texts: ${JSON.stringify(name)} is damaged or not supported (${why})`,
    { cause },
  );
}
