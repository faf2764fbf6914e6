/** One line of a .jsonl dataset as a document. */

import { TextError } from "../engine/errors.ts";
import type { ChatMessage } from "../engine/text/chat_template.ts";

/** A document. */
export interface Text {
  /** The text; of a chat, the contents of its messages joined by line breaks. */
  text: string;
  /** The turns, if the document is a chat. */
  messages?: ChatMessage[];
}

/**
 * The document in one line of JSON.
 *
 * @param where names the line in messages
 * @param column the field to take (default: "text", else "messages")
 * @throws {TextError} if the line is not a JSON object, or has no such column, or something else in it
 */
export function textOfRecord(line: string, where: string, column?: string): Text {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch (cause) {
    throw new TextError(`Cannot read texts: ${where} is not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    throw new TextError(`Cannot read texts: ${where} is not a JSON object`);
  }
  const columns = Object.keys(record);
  const name = column ?? ["text", "messages"].find((candidate) => columns.includes(candidate));
  if (name === undefined || !columns.includes(name)) {
    const wanted = column === undefined ? '"text" or "messages"' : `"${column}"`;
    const seen = columns.slice(0, 20).map((seen) => `"${seen}"`).join(", ") || "none";
    throw new TextError(
      `Cannot read texts: ${where} has no column ${wanted} (its columns: ${seen})`,
    );
  }
  const value = (record as Record<string, unknown>)[name];
  if (typeof value === "string") return { text: value };
  if (Array.isArray(value) && value.every(isMessage)) {
    const messages = value.map(({ role, content }) => ({ role, content }));
    return { text: messages.map((message) => message.content).join("\n"), messages };
  }
  throw new TextError(
    `Cannot read texts: ${where} has in column "${name}" neither a text nor a list of messages {role, content}`,
  );
}

function isMessage(value: unknown): value is ChatMessage {
  const message = value as Partial<ChatMessage> | null;
  return typeof message?.role === "string" && typeof message?.content === "string";
}
