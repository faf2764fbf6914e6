/** One record of a dataset as a document: a text, or the messages of a chat. */

import { TextError } from "../engine/errors.ts";
import type { ChatMessage } from "../engine/text/chat_template.ts";

/** A document. */
export interface Text {
  /** The text; of a chat, the contents of its messages joined by line breaks. */
  text: string;
  /** The turns, if the document is a chat. */
  messages?: ChatMessage[];
}

/** Where in a record the document is. */
export interface ColumnChoice {
  /** The field that holds it; a dot leads into a field's own fields. Default: the first that is there of those known. */
  column?: string;
  /** Whether a chat is wanted, so that a text beside it does not count (default: false). */
  chat?: boolean;
}

/** Fields that hold chats: of {role, content}, or of {from, value} as ShareGPT has them. */
const CHAT_COLUMNS = ["messages", "conversations", "conversation"];

/** ShareGPT's names of the roles. */
const ROLES: Record<string, string> = { human: "user", gpt: "assistant" };

/** The names under which a message may keep role and content. */
export const MESSAGE_FIELDS = [["role", "content"], ["from", "value"]] as const;

/** The fields to look for, the best first. */
export function wantedColumns({ column, chat }: ColumnChoice): string[] {
  if (column !== undefined) return [column];
  return chat ? CHAT_COLUMNS : ["text", ...CHAT_COLUMNS];
}

/** The error of a record or file that has none of the wanted fields. */
export function noSuchColumn(
  where: string,
  choice: ColumnChoice,
  columns: readonly string[],
): TextError {
  const wanted = wantedColumns(choice).map((name) => `"${name}"`).join(" or ");
  const seen = columns.slice(0, 20).map((seen) => `"${seen}"`).join(", ") || "none";
  return new TextError(
    `Cannot read texts: ${where} has no column ${wanted} (its columns: ${seen})`,
  );
}

/**
 * The document in one line of JSON.
 *
 * @param where names the line in messages
 * @throws {TextError} if the line is not a JSON object, or has no such column, or something else in it
 */
export function textOfLine(line: string, where: string, choice: ColumnChoice = {}): Text {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch (cause) {
    throw new TextError(`Cannot read texts: ${where} is not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  return textOfRecord(record, where, choice);
}

/** The document in a parsed record; as {@link textOfLine}. */
export function textOfRecord(record: unknown, where: string, choice: ColumnChoice = {}): Text {
  if (!isObject(record)) throw new TextError(`Cannot read texts: ${where} is not a JSON object`);
  const name = wantedColumns(choice).find((name) => fieldOf(record, name) !== undefined);
  if (name === undefined) throw noSuchColumn(where, choice, Object.keys(record));
  return textOfValue(fieldOf(record, name), where, name);
}

/**
 * The document in a field: a text, or a list of messages, whose contents are joined by line breaks. A missing value, or a message
 * without content (as of one that only calls a tool), is null and counts as empty.
 *
 * @throws {TextError} if it is neither
 */
export function textOfValue(value: unknown, where: string, name: string): Text {
  if (value === null) return { text: "" };
  if (typeof value === "string") return { text: value };
  const messages = Array.isArray(value) ? value.map(messageOf) : [undefined];
  if (messages.every((message) => message !== undefined)) {
    return { text: messages.map((message) => message.content).join("\n"), messages };
  }
  throw new TextError(
    `Cannot read texts: ${where} has in column "${name}" neither a text nor a list of messages {role, content}`,
  );
}

function messageOf(value: unknown): ChatMessage | undefined {
  if (!isObject(value)) return undefined;
  for (const [roleField, contentField] of MESSAGE_FIELDS) {
    const role = value[roleField];
    const content = value[contentField] === null ? "" : value[contentField];
    if (typeof role !== "string" || typeof content !== "string") continue;
    return {
      role: roleField === "from" ? (Object.hasOwn(ROLES, role) ? ROLES[role] : role) : role,
      content,
    };
  }
  return undefined;
}

/** A field by its own name, else by a path through fields: `meta.body`. */
function fieldOf(record: Record<string, unknown>, name: string): unknown {
  if (Object.hasOwn(record, name)) return record[name];
  let value: unknown = record;
  for (const part of name.split(".")) {
    if (!isObject(value) || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
