/** Texts and chats out of Parquet files: which column they are in, and which of its fields are needed. */

import { TextError } from "../engine/errors.ts";
import type { ByteSource } from "../engine/weights/byte_source.ts";
import { ParquetFile, type ParquetNode } from "./parquet/parquet_file.ts";
import {
  type ColumnChoice,
  MESSAGE_FIELDS,
  noSuchColumn,
  type Text,
  textOfValue,
  wantedColumns,
} from "./text_record.ts";

/** Where a Parquet file has its texts. */
export interface ParquetColumn {
  /** The column, without the fields that are not read. */
  node: ParquetNode;
  /** Names of the column and of the fields below it, down to the text or the list of messages. */
  path: string[];
}

/** Opens a file; see {@link ParquetFile.open}. */
export function openParquet(source: ByteSource): Promise<ParquetFile> {
  return ParquetFile.open(source);
}

/**
 * Finds the column of texts or chats.
 *
 * @throws {TextError} if there is none, listing the columns, or it holds neither
 */
export function findTextColumn(file: ParquetFile, choice: ColumnChoice): ParquetColumn {
  const where = JSON.stringify(file.name);
  for (const name of wantedColumns(choice)) {
    const chain = chainTo(file.schema, [name]) ?? chainTo(file.schema, name.split("."));
    if (!chain) continue;
    const end = withNeededFields(chain[chain.length - 1]);
    if (!end) {
      throw new TextError(
        `Cannot read texts: ${where} has in column "${name}" neither texts nor lists of messages {role, content}`,
      );
    }
    const node = chain.slice(0, -1).reduceRight(
      (child, parent) => ({ ...parent, children: [child] }),
      end,
    );
    return { node, path: end.path };
  }
  throw noSuchColumn(where, choice, file.schema.children.map(({ element }) => element.name));
}

/** The texts of a row group, in the order of its rows. */
export async function readRowGroup(
  file: ParquetFile,
  rowGroup: number,
  { node, path }: ParquetColumn,
): Promise<Text[]> {
  const rows = await file.read(rowGroup, node);
  const name = path.join(".");
  return rows.map((row, i) => {
    const where = `row ${i} of row group ${rowGroup} of "${file.name}"`;
    const value = path.slice(1).reduce<unknown>((value, field) => fieldOf(value, field), row);
    return textOfValue(value ?? null, where, name);
  });
}

/** Nodes from a column to the field that `path` leads to, or undefined. */
function chainTo(root: ParquetNode, path: readonly string[]): ParquetNode[] | undefined {
  const chain: ParquetNode[] = [];
  let node = root;
  for (const part of path) {
    const child = node.children.find(({ element }) => element.name === part);
    if (!child) return undefined;
    chain.push(child);
    node = child;
  }
  return chain;
}

/** A text as it is; of a list of messages only their roles and contents; undefined for anything else. */
function withNeededFields(node: ParquetNode): ParquetNode | undefined {
  if (node.children.length === 0) return node;
  if (node.element.converted_type !== "LIST" && node.element.repetition_type !== "REPEATED") {
    return undefined;
  }
  return onlyMessages(node);
}

function onlyMessages(node: ParquetNode): ParquetNode | undefined {
  if (node.children.length === 1) {
    const inner = onlyMessages(node.children[0]);
    return inner && { ...node, children: [inner] };
  }
  for (const fields of MESSAGE_FIELDS) {
    const children = fields.map((name) => node.children.find((it) => it.element.name === name));
    if (children.every((child) => child?.children.length === 0)) {
      return { ...node, children: children as ParquetNode[] };
    }
  }
  return undefined;
}

function fieldOf(value: unknown, field: string): unknown {
  const owner = value as Record<string, unknown> | null | undefined;
  return owner !== null && owner !== undefined && Object.hasOwn(owner, field)
    ? owner[field]
    : undefined;
}
