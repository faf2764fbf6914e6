/**
 * Chats as documents (METHOD 1, the chat variant): the first user turn and its answer through the model's chat template. What
 * is compared are the last positions of the prompt and the first ones of the answer.
 */

import { TokenizerError, UsageError } from "../engine/errors.ts";
import type { ChatMessage } from "../engine/text/chat_template.ts";
import { type DocumentRule, firstTokensText, type Taken } from "./documents.ts";
import type { Text } from "./text_record.ts";

/** Writes chats as a model's token ids. */
export interface ChatRenderer {
  /**
   * The ids of `messages` in the model's chat template, special tokens among them.
   *
   * @param options.addGenerationPrompt whether to end with the opening of the assistant's turn
   * @throws {TokenizerError} if the template refuses the messages
   */
  render(messages: readonly ChatMessage[], options: { addGenerationPrompt: boolean }): number[];
  /** The ids of a bare text, without special tokens. */
  encode(text: string): number[];
}

/** Positions before the answer that are compared: −3 to −1. */
export const PROMPT_POSITIONS = 3;

/** Chats with a longer prompt are dropped. */
export const MAX_PROMPT_TOKENS = 512;

/** Sizes of {@link chatRule}. */
export interface ChatRuleOptions {
  /** Tokens of the answer that are compared; a shorter answer is dropped. */
  tokens: number;
  /** The model's context, in tokens: prompts must leave room for the answer. */
  maxPositions: number;
}

/**
 * Documents from chats: prompt and the answer's first `tokens` tokens. Position 0 is where the answer begins, which is where
 * the prompt with the opening of the assistant's turn ends.
 *
 * A system message before the user's turn is left out: not every template takes one, and a sample must not depend on that.
 * Where a template writes a finished answer otherwise than as the continuation of that prompt (those of thinking models may),
 * the answer's own text follows the prompt, as it would have been generated.
 *
 * @throws {UsageError} if the context has no room for a prompt
 */
export function chatRule(
  renderer: ChatRenderer,
  { tokens, maxPositions }: ChatRuleOptions,
): DocumentRule {
  const longestPrompt = Math.min(MAX_PROMPT_TOKENS, maxPositions - tokens);
  if (longestPrompt < PROMPT_POSITIONS) {
    throw new UsageError(
      `Cannot use --tokens ${tokens}: the model's context of ${maxPositions} tokens leaves no room for a prompt`,
    );
  }
  let refusal: TokenizerError | undefined;
  const take = ({ user, answer }: Turn): Taken => {
    const own = renderer.encode(answer);
    if (own.length < tokens) return { dropped: SHORT_ANSWER, tokens: own.length };
    const prompt = renderer.render([user], { addGenerationPrompt: true });
    if (prompt.length > longestPrompt) return { dropped: LONG_PROMPT };
    if (prompt.length < PROMPT_POSITIONS) return { dropped: SHORT_PROMPT };
    const messages = [user, { role: "assistant", content: answer }];
    const whole = renderer.render(messages, { addGenerationPrompt: false });
    const continues = prompt.every((id, i) => whole[i] === id);
    const ids = continues ? whole : [...prompt, ...own];
    const length = prompt.length + tokens;
    // A template may trim what it is given.
    if (ids.length < length) return { dropped: SHORT_ANSWER, tokens: ids.length - prompt.length };
    return { ids: ids.slice(0, length) };
  };
  return {
    positions: PROMPT_POSITIONS + tokens,
    firstPosition: -PROMPT_POSITIONS,
    take(text) {
      const turn = firstTurn(text);
      if (!turn) return { dropped: NO_TURN };
      const user = { ...turn.user, content: firstTokensText(turn.user.content, longestPrompt + 1) };
      // A prompt that is cut is too long, unless its tokens are far longer than those of any language.
      if (user.content.length < turn.user.content.length) return { dropped: LONG_PROMPT };
      try {
        return take({ user, answer: firstTokensText(turn.answer, tokens) });
      } catch (error) {
        if (!(error instanceof TokenizerError)) throw error;
        refusal ??= error;
        return { dropped: REFUSED };
      }
    },
    explain(looked, dropped, longest) {
      const reasons = [...dropped].map(([reason, count]) => `${count} ${reason}`).join("; ");
      const hints = [
        dropped.has(SHORT_ANSWER) ? `longest answer: ${longest} tokens, see --tokens` : "",
        refusal?.message ?? "",
      ].filter((hint) => hint !== "");
      return `Cannot choose documents: none of the ${looked} chats can be used: ${reasons}` +
        (hints.length > 0 ? ` (${hints.join("; ")})` : "");
    },
  };
}

const NO_TURN = "without a user turn that is followed by an answer";
const SHORT_ANSWER = "with too short an answer";
const LONG_PROMPT = "with too long a prompt";
const SHORT_PROMPT = `with a prompt of fewer than ${PROMPT_POSITIONS} tokens`;
const REFUSED = "refused by the chat template";

interface Turn {
  user: ChatMessage;
  answer: string;
}

/** The first user turn, if an answer follows. */
function firstTurn({ messages = [] }: Text): Turn | undefined {
  const at = messages.findIndex(({ role }) => role === "user");
  const [user, answer] = at < 0 ? [] : messages.slice(at, at + 2);
  return user && answer?.role === "assistant" ? { user, answer: answer.content } : undefined;
}
