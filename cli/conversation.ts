/** What was said so far in a chat with one model, as far as the model's context holds it. */

import { UsageError } from "../engine/errors.ts";
import type { ChatMessage } from "../engine/text/chat_template.ts";

/** A chat as the ids that a model continues with its answer. */
export type WriteChat = (messages: readonly ChatMessage[]) => number[];

/** What a conversation has to keep to. */
export interface ConversationOptions {
  write: WriteChat;
  /** The model's context, in tokens. */
  context: number;
  /** Tokens to keep free for an answer, as far as turns can be dropped for them. */
  room: number;
  system?: string;
}

/** A question that has not been answered yet. */
export interface Asked {
  /** The whole chat up to where the answer begins. */
  ids: number[];
  /** How many of the oldest turns had to go. */
  dropped: number;
  /** Questions and answers in turn, this question last. */
  turns: readonly ChatMessage[];
}

/** One side's conversation. */
export class Conversation {
  #turns: readonly ChatMessage[] = [];

  constructor(private readonly options: ConversationOptions) {}

  /**
   * The conversation with one more question. It is not part of it before it is {@link answered}.
   *
   * @throws {UsageError} if the question alone is over the context
   */
  ask(content: string): Asked {
    const { write, context, room, system } = this.options;
    const first = system === undefined ? [] : [{ role: "system", content: system }];
    for (let dropped = 0;; dropped++) {
      const turns = [...this.#turns.slice(2 * dropped), { role: "user", content }];
      const ids = write([...first, ...turns]);
      if (ids.length + room <= context || turns.length === 1) {
        if (ids.length < context) return { ids, dropped, turns };
        throw new UsageError(
          `Cannot ask that: it takes ${ids.length} tokens, and the model's context is ${context}; ask something shorter`,
        );
      }
    }
  }

  /** Keeps a question and its answer. */
  answered({ turns }: Asked, answer: string): void {
    this.#turns = [...turns, { role: "assistant", content: answer }];
  }

  /** Forgets everything that was said. */
  reset(): void {
    this.#turns = [];
  }
}
