/** Text files that are read whole: what the diff runs on, and what organisms were finetuned on. */

import { createHash } from "node:crypto";
import { TextError } from "../engine/errors.ts";
import { readLines, readWhole, type TextPath } from "./text_lines.ts";
import { type ColumnChoice, type Text, textOfLine, textOfRecord } from "./text_record.ts";

/**
 * Formats of text files: one JSON object a line; one JSON array of objects; plain text whose documents are separated by blank
 * lines; Parquet.
 */
export type TextFormat = "jsonl" | "json" | "txt" | "parquet";

/** A text file, read. */
export interface TextFile {
  path: string;
  format: TextFormat;
  /** Of the file's bytes, hexadecimal. */
  sha256: string;
  /** In the file's order. */
  texts: Text[];
}

/** Options of {@link loadTexts}. */
export interface LoadOptions extends ColumnChoice {
  /** What the file holds (default: by its extension). */
  format?: Exclude<TextFormat, "parquet">;
  /** What to call the file in messages (default: its path). */
  name?: string;
  /** Whether a file without texts is no error (default: false). */
  allowEmpty?: boolean;
}

/** A JSON array is parsed as a whole. */
const MAX_JSON_BYTES = 256 * 2 ** 20;

const EXTENSIONS: Record<string, TextFormat> = {
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".json": "json",
  ".txt": "txt",
  ".parquet": "parquet",
};

/** What a file holds by its name, and whether it is compressed with gzip; undefined if its name does not tell. */
export function formatOf(name: string): { format: TextFormat; gzip: boolean } | undefined {
  const [, extension = "", packed] = /(\.[^./\\]*?)(\.gz)?$/.exec(name.toLowerCase()) ?? [];
  const format = Object.hasOwn(EXTENSIONS, extension) ? EXTENSIONS[extension] : undefined;
  const gzip = packed !== undefined;
  return format === undefined || (gzip && format === "parquet") ? undefined : { format, gzip };
}

/** As {@link formatOf}; throws a {@link TextError} where the name does not tell. */
export function knownFormatOf(name: string): { format: TextFormat; gzip: boolean } {
  const found = formatOf(name);
  if (found) return found;
  const extension = /\.[^./\\]*$/.exec(name)?.[0] ?? "";
  throw new TextError(
    `Cannot read texts from "${name}": its extension "${extension}" is not known ` +
      "(supported: .jsonl, .json, .txt, each also with .gz, and .parquet)",
  );
}

/**
 * Reads a whole file of documents.
 *
 * - `.jsonl` (`.ndjson`): an object a line; the text is the string in `column`, or a list of messages `{role, content}` or
 *   `{from, value}`, whose contents are joined by line breaks. Blank lines are skipped.
 * - `.json`: an array of such objects.
 * - `.txt`: documents are separated by blank lines; a line break inside a document is part of it.
 *
 * Each of them may be compressed (`.jsonl.gz`). Parquet files are read in parts: see `text_set.ts`.
 *
 * @throws {TextError} if the file is missing, empty, not UTF-8, of another format, or a line is malformed
 */
export async function loadTexts(path: string, options: LoadOptions = {}): Promise<TextFile> {
  const { name = path } = options;
  const { format, gzip } = options.format
    ? { format: options.format, gzip: path.endsWith(".gz") }
    : knownFormatOf(name);
  const hash = createHash("sha256");
  const file: TextPath = { path, name, gzip };
  const texts = await readTexts(file, format, options, (bytes) => hash.update(bytes));
  if (texts.length === 0 && !options.allowEmpty) {
    throw new TextError(`Cannot read texts: "${name}" is empty`);
  }
  return { path, format, sha256: hash.digest("hex"), texts };
}

async function readTexts(
  file: TextPath,
  format: TextFormat,
  choice: ColumnChoice,
  onBytes: (bytes: Uint8Array) => void,
): Promise<Text[]> {
  switch (format) {
    case "jsonl":
      return await jsonlTexts(readLines(file, onBytes), file.name, choice);
    case "json":
      return jsonTexts(await readWhole(file, MAX_JSON_BYTES, onBytes), file.name, choice);
    case "txt":
      return await paragraphs(readLines(file, onBytes));
    case "parquet":
      throw new TextError(`Cannot read "${file.name}" as a whole: it is a Parquet file`);
  }
}

async function jsonlTexts(
  lines: AsyncIterable<string>,
  name: string,
  choice: ColumnChoice,
): Promise<Text[]> {
  const texts: Text[] = [];
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.trim() === "") continue;
    texts.push(textOfLine(line, `line ${number} of "${name}"`, choice));
  }
  return texts;
}

function jsonTexts(json: string, name: string, choice: ColumnChoice): Text[] {
  let records: unknown;
  try {
    records = JSON.parse(json);
  } catch (cause) {
    throw new TextError(
      `Cannot read texts: "${name}" is not JSON: ${
        (cause as Error).message
      } (an object a line is .jsonl)`,
      { cause },
    );
  }
  if (!Array.isArray(records)) {
    throw new TextError(`Cannot read texts: "${name}" is not a JSON array of objects`);
  }
  return records.map((record, i) => textOfRecord(record, `record ${i} of "${name}"`, choice));
}

async function paragraphs(lines: AsyncIterable<string>): Promise<Text[]> {
  const texts: Text[] = [];
  let paragraph: string[] = [];
  const close = () => {
    if (paragraph.length > 0) texts.push({ text: paragraph.join("\n") });
    paragraph = [];
  };
  for await (const line of lines) {
    if (line.trim() === "") close();
    else paragraph.push(line);
  }
  close();
  return texts;
}

export type { Text };
