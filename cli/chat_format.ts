/** How a chat is written for a pair of models, and what ends an answer. */

import type { ChatMessage } from "../engine/text/chat_template.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import { findChat, stopIds } from "../models/chat.ts";
import type { ModelSource } from "../models/source.ts";
import type { WriteChat } from "./conversation.ts";

/** The same for both sides, so that they are asked the same. */
export interface ChatFormat {
  write: WriteChat;
  stopIds: ReadonlySet<number>;
  /** Texts that end an answer, and are no part of it. */
  stop: readonly string[];
  /** Whether it is a chat template's; else plain text. */
  hasTemplate: boolean;
}

const SPEAKERS: Record<string, string> = { user: "User", assistant: "Assistant" };

/** The chat template of the first source that has one (an adapter may bring it to a base without); else plain text. */
export async function findChatFormat(
  sources: readonly ModelSource[],
  tokenizer: Tokenizer,
  thinking: boolean,
): Promise<ChatFormat> {
  const stops = new Set<number>();
  for (const source of sources) {
    for (const id of await stopIds(source, tokenizer, { chat: true })) stops.add(id);
  }
  const chat = await findChat(sources, tokenizer);
  if (chat) {
    const write: WriteChat = (messages) =>
      chat.render(messages, { addGenerationPrompt: true, thinking });
    return { write, stopIds: stops, stop: [], hasTemplate: true };
  }
  const write: WriteChat = (messages) =>
    tokenizer.encode(plainChat(messages), { special: true, parseSpecial: false });
  return { write, stopIds: stops, stop: [`\n${SPEAKERS.user}:`], hasTemplate: false };
}

/** A chat as a play is printed, up to where the assistant speaks. */
export function plainChat(messages: readonly ChatMessage[]): string {
  const lines = messages.map(({ role, content }) =>
    role === "system" ? `${content}\n` : `${SPEAKERS[role]}: ${content.trim()}`
  );
  return [...lines, `${SPEAKERS.assistant}:`].join("\n");
}
