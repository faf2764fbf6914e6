/** Text datasets from files: what the diff runs on, and what organisms were finetuned on. */

import { createHash } from "node:crypto";
import { TextError } from "../engine/errors.ts";
import { textOfRecord } from "./text_record.ts";
import type { Text } from "./text_record.ts";
import { readLines } from "./text_lines.ts";

/** Formats of text files: one JSON object a line, or plain text whose documents are separated by blank lines. */
export type TextFormat = "jsonl" | "txt";

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
export interface LoadOptions {
  /** What the file holds (default: by its extension). */
  format?: TextFormat;
  /** The field of a .jsonl line that holds the text (default: "text", else "messages"). */
  column?: string;
}

/**
 * Reads a file of documents.
 *
 * - `.jsonl` (`.ndjson`): an object a line; the text is the string in `column`, or `messages`, a list of `{role, content}`
 *   whose contents are joined by line breaks. Blank lines are skipped.
 * - `.txt`: documents are separated by blank lines; a line break inside a document is part of it.
 *
 * @throws {TextError} if the file is missing, empty, not UTF-8, of another format, or a line is malformed
 */
export async function loadTexts(path: string, options: LoadOptions = {}): Promise<TextFile> {
  const format = options.format ?? formatOf(path);
  const hash = createHash("sha256");
  const lines = readLines(path, (bytes) => hash.update(bytes));
  const texts = format === "jsonl"
    ? await jsonlTexts(lines, path, options.column)
    : await paragraphs(lines);
  if (texts.length === 0) throw new TextError(`Cannot read texts: "${path}" is empty`);
  return { path, format, sha256: hash.digest("hex"), texts };
}

function formatOf(path: string): TextFormat {
  const extension = /\.[^./\\]*$/.exec(path)?.[0].toLowerCase() ?? "";
  if (extension === ".jsonl" || extension === ".ndjson") return "jsonl";
  if (extension === ".txt") return "txt";
  throw new TextError(
    `Cannot read texts from "${path}": its extension "${extension}" is not known (supported: .jsonl, .txt)`,
  );
}

async function jsonlTexts(
  lines: AsyncIterable<string>,
  path: string,
  column?: string,
): Promise<Text[]> {
  const texts: Text[] = [];
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.trim() === "") continue;
    texts.push(textOfRecord(line, `line ${number} of "${path}"`, column));
  }
  return texts;
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
