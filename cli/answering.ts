/** One model's answer to a chat, shown as it comes. */

import { InterruptedError } from "../engine/errors.ts";
import { type Finish, generate, type Sampling } from "../engine/generation/generate.ts";
import { TokenStream } from "../engine/text/token_stream.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import type { Transformer } from "../engine/transformer.ts";
import type { ChatFormat } from "./chat_format.ts";
import type { Answer } from "./chat_view.ts";
import { stopAt, StopFilter, textBeforeStop } from "./stop_strings.ts";

/** How answers are made, the same for both sides. */
export interface AnswerOptions {
  tokenizer: Tokenizer;
  format: ChatFormat;
  maxNewTokens: number;
  sampling: Sampling;
}

/** What one answer needs. */
export interface AnswerRequest {
  /** The chat up to where the answer begins. */
  ids: number[];
  /** Which stream of random numbers it draws from. */
  stream: number;
  /** Is given its text piece by piece. */
  show(text: string): void;
  /** Ends this answer early; what came so far is the answer. */
  interrupt: AbortSignal;
  /** Ends everything. */
  signal: AbortSignal;
}

/** Marks an answer that did not come to its end. */
const CUT = " […]";

/** Lets `model` answer. */
export async function answer(
  model: Transformer,
  { tokenizer, format, maxNewTokens, sampling }: AnswerOptions,
  { ids: prompt, stream, show, interrupt, signal }: AnswerRequest,
): Promise<Answer> {
  const { stop, stopIds } = format;
  const tokens = new TokenStream(tokenizer, { skipSpecial: true });
  const filter = new StopFilter(stop);
  const ids: number[] = [];
  let finish: Finish = "length";
  try {
    const [generated] = await generate(model, {
      prompts: [prompt],
      maxNewTokens,
      sampling,
      streams: [stream],
      stopIds,
      stop: stopAt(stop, tokenizer),
      onTokens: (_, newIds) => {
        ids.push(...newIds);
        show(filter.push(newIds.map((id) => tokens.push(id)).join("")));
      },
      signal: AbortSignal.any([signal, interrupt]),
    });
    finish = generated.finish;
  } catch (error) {
    if (signal.aborted || !(interrupt.aborted && error instanceof InterruptedError)) throw error;
  }
  show(filter.push(tokens.end()) + filter.end() + (finish === "length" ? CUT : ""));
  return { ids, text: textBeforeStop(tokenizer.decode(ids, { skipSpecial: true }), stop) };
}
