/** Texts as documents whose losses are measured: whole beginnings, however short. */

import { TokenizerError } from "../../engine/errors.ts";
import type { ChatMessage } from "../../engine/text/chat_template.ts";
import type { ChatRenderer } from "../chats.ts";
import { type DocumentRule, type DocumentTokenizer, firstTokensText } from "../documents.ts";

const TOO_SHORT = "fewer than 2 tokens";
const REFUSED = "refused by the chat template";

/**
 * Documents from the first `tokens` tokens of each text, special tokens among them; only texts of a single token, which
 * have nothing to predict, are dropped. A chat is written in the model's template, as the finetuning did; without a template
 * its messages are one text.
 */
export function passageRule(
  tokenizer: DocumentTokenizer,
  chats: ChatRenderer | null,
  tokens: number,
): DocumentRule {
  const render = (messages: readonly ChatMessage[]) => {
    // A longer beginning cannot matter.
    const first = messages.slice(0, tokens).map(({ role, content }) => ({
      role,
      content: firstTokensText(content, tokens),
    }));
    return chats!.render(first, { addGenerationPrompt: false });
  };
  return {
    positions: 0,
    firstPosition: 0,
    take({ text, messages }) {
      try {
        const ids = chats && messages
          ? render(messages)
          : tokenizer.encode(firstTokensText(text, tokens), { special: true });
        if (ids.length < 2) return { dropped: TOO_SHORT, tokens: ids.length };
        return { ids: ids.slice(0, tokens) };
      } catch (error) {
        if (!(error instanceof TokenizerError)) throw error;
        return { dropped: REFUSED };
      }
    },
    explain(looked, dropped) {
      const reasons = [...dropped].map(([reason, count]) => `${count}: ${reason}`).join("; ");
      return `Cannot choose documents: none of the ${looked} texts can be used (${reasons})`;
    },
  };
}
