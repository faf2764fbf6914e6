/** Log-probabilities as OpenAI's API writes them: a list of objects in chats, parallel lists in completions. */

import type { TokenLogprobs } from "../../engine/ops/logprobs.ts";
import { textBytes } from "../../engine/text/token_text.ts";
import type { Tokenizer } from "../../engine/text/tokenizer.ts";

/** JSON has no −∞; OpenAI's API writes this for what is as good as impossible. */
const LEAST = -9999;

const finite = (value: number) => value > LEAST ? value : LEAST;

/** `choices[].logprobs.content` of a chat. */
export function chatLogprobs(
  tokenizer: Tokenizer,
  ids: readonly number[],
  logprobs: readonly TokenLogprobs[],
) {
  const entry = (id: number, logprob: number) => {
    const token = tokenizer.tokenText(id);
    return { token, logprob: finite(logprob), bytes: [...textBytes(token)] };
  };
  return ids.map((id, i) => ({
    ...entry(id, logprobs[i].logprob),
    top_logprobs: logprobs[i].top.map(({ id, value }) => entry(id, value)),
  }));
}

/** `choices[].logprobs` of a completion. */
export interface CompletionLogprobs {
  tokens: string[];
  /** Null for the first token of all, which nothing predicts. */
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[];
  /** Where each token begins in the text, in UTF-16 units of the tokens' own texts. */
  text_offset: number[];
}

/** Those of some tokens, of which the first begins at `offset`. */
export function completionLogprobs(
  tokenizer: Tokenizer,
  ids: readonly number[],
  logprobs: readonly (TokenLogprobs | null)[],
  offset: number,
): CompletionLogprobs {
  const tokens = ids.map((id) => tokenizer.tokenText(id));
  let at = offset;
  return {
    tokens,
    token_logprobs: logprobs.map((one) => one && finite(one.logprob)),
    top_logprobs: logprobs.map((one) =>
      one &&
      Object.fromEntries(one.top.map(({ id, value }) => [tokenizer.tokenText(id), finite(value)]))
    ),
    text_offset: tokens.map((token) => (at += token.length) - token.length),
  };
}
